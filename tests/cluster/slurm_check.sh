#!/usr/bin/env bash
# A real SLURM on this machine, and a small audit's searches through it: not part of the tests.
#
#   apt-get install slurmctld slurmd slurm-client munge
#   tests/cluster/slurm_check.sh [FOLDER]      as root; FOLDER is made anew and left for a look
#
# It starts its own munged, slurmctld and slurmd on 127.0.0.1, with their files in FOLDER, and ends
# them by their process ids.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
place=${1:-/tmp/likeness-slurm}
python=${PYTHON:-$here/.venv/bin/python}
rm -rf "$place"
mkdir -p "$place"/{munge,state,spool,logs,shared}
chmod 755 "$place"
chmod 711 "$place/munge"
dd if=/dev/urandom of="$place/munge/key" bs=1024 count=1 status=none
chmod 600 "$place/munge/key"
host=$(hostname -s)
cores=$(nproc)
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)

cat > "$place/slurm.conf" <<CONF
ClusterName=likeness
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/logs/slurmctld.log
SlurmdLogFile=$place/logs/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$place/slurm.conf"

started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait || true
}
trap finish EXIT

munged --foreground --force --key-file="$place/munge/key" --socket="$place/munge/socket" \
  --pid-file="$place/munge/pid" --log-file="$place/munge/log" --seed-file="$place/munge/seed" &
started+=($!)
for _ in $(seq 50); do [ -S "$place/munge/socket" ] && break; sleep 0.1; done
slurmctld -D > "$place/logs/slurmctld.out" 2>&1 &
started+=($!)
sleep 2
slurmd -D -N "$host" > "$place/logs/slurmd.out" 2>&1 &
started+=($!)
for _ in $(seq 100); do
  sinfo --noheader --format %t 2>/dev/null | grep -q idle && break
  sleep 0.2
done
sinfo

cat > "$place/slurm.toml" <<TOML
queue = "debug"
cores = 1
memory = "2GiB"
walltime = "00:10:00"
jobs = $cores
interface = "lo"
log_folder = "$place/logs"
local_folder = "$place/spool"
waiting = 120.0
TOML
cd "$here"
"$python" -W error tests/cluster/slurm_audit.py "slurm:$place/slurm.toml" "$place/shared"
squeue

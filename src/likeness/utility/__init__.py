"""What synthetic images are good for: networks trained on them and tested on real patients."""

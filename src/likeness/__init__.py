"""Do these synthetic images reproduce the patients they were made from?"""

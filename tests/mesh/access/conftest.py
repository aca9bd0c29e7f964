from hypothesis import settings

# how fast a shared machine answers is no property of the code
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

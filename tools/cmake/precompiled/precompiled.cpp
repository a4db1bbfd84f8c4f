// An empty source: a library needs one to build its precompiled header.

// A library needs a source; the precompiled header beside it is what is wanted.

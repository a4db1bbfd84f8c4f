// Whether this build measures its own memory: a sanitizer brings an allocator that keeps what is
// freed.
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NOTP_OTHER_ALLOCATOR
#endif
#endif

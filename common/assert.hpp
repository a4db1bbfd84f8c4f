// Assertions that stay on in release builds. A failed assertion is a bug in this program, never bad
// input: it prints its place and condition, and aborts so that a supervisor restarts from durable
// state.
#pragma once

namespace notp {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line,
                                   const char* why) noexcept;

}  // namespace notp

#define NOTP_ASSERT(condition, why)                    \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::notp::assertion_failed(#condition, __FILE__, __LINE__, (why)))

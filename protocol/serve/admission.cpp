#include "protocol/serve/admission.hpp"

#include <fmt/format.h>

#include <chrono>

namespace notp::serve {

void Admission::connection_began() {
  const MutexLock lock(mutex_);
  ++connections_;
}

void Admission::connection_ended() {
  const MutexLock lock(mutex_);
  --connections_;
  ended_.notify_all();
}

void Admission::wait_for_end(TimeMs wait_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  MutexLock lock(mutex_);
  while (connections_ != 0)
    if (ended_.wait_until(lock, deadline) == std::cv_status::timeout) return;
}

Result<void> Admission::admit(const std::string& identity) {
  const MutexLock lock(mutex_);
  // Many handshakes may have finished since has_room().
  if (admitted_ >= limits_.sessions_max)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} sessions are open at this registry already", admitted_));
  size_t& open = identities_[identity];
  if (open >= limits_.sessions_per_identity_max)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} has {} sessions open already; is one certificate used by several "
                            "nodes?",
                            identity, open));
  ++open;
  ++admitted_;
  return {};
}

bool Admission::depart(const std::string& identity) {
  const MutexLock lock(mutex_);
  --admitted_;
  const auto open = identities_.find(identity);
  if (--open->second != 0) return false;
  identities_.erase(open);
  return true;
}

}  // namespace notp::serve

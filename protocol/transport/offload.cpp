#include "protocol/transport/offload.hpp"

#include <fmt/format.h>

#include <exception>

namespace notp::transport {

OffloadPool::OffloadPool(size_t threads, size_t queue_max)
    : pool_(threads), queue_max_(queue_max) {}

OffloadPool::~OffloadPool() { join(); }

void OffloadPool::join() { pool_.join(); }

Result<void> OffloadPool::enter() {
  if (depth_.fetch_add(1, std::memory_order_relaxed) < queue_max_) return {};
  leave();
  return fail(ErrorCode::kOverloaded,
              fmt::format("{} tasks are waiting already; try again later", queue_max_));
}

Error error_of_current_exception() {
  try {
    throw;
  } catch (const std::exception& exception) {
    return {ErrorCode::kInternal, exception.what(), {}};
  } catch (...) {
    return {ErrorCode::kInternal, "an exception of unknown type", {}};
  }
}

}  // namespace notp::transport

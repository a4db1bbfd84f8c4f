#include "notp-client/spool/shipper.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::spool {

std::optional<wire::LogOffer> Shipper::session_begins(const SealedLog& log) {
  session_ended();
  if (log.log == record::LogId{}) return std::nullopt;
  log_ = log.log;
  return wire::LogOffer{log.log, log.size, log.root};
}

void Shipper::session_ended() {
  log_.reset();
  granted_ = announce_ = loading_ = failed_ = false;
  refusal_.reset();
  next_ = acknowledged_;
  window_bytes_ = 0;
  in_flight_.clear();
}

Result<void> Shipper::granted(const wire::LogGrant& grant, const SealedLog& log) {
  const auto refuse = [&](ErrorCode code, std::string message) {
    refusal_ = Error{code, std::move(message), {}};
    return std::unexpected(*refusal_);
  };
  if (log_ && log.log != *log_) {
    granted_ = false;
    return {};
  }
  if (refusal_) return std::unexpected(*refusal_);
  if (!log_ || grant.log != *log_)
    return refuse(
        ErrorCode::kMessage,
        fmt::format("the registry grants log {}, which was not offered", grant.log.hex()));
  if (grant.code != 0)
    return refuse(
        error_code_from_wire(grant.code),
        fmt::format("the registry refuses log {}: {}", grant.log.hex(), printable(grant.message)));
  if (!granted_) {
    if (grant.next > log.size)
      return refuse(ErrorCode::kLogFork,
                    fmt::format("the registry has {} records of log {}, this node has {}: its "
                                "spool was restored from an older copy, or another machine has a "
                                "copy of it",
                                grant.next, grant.log.hex(), log.size));
    granted_ = true;
    acknowledged_ = grant.next;
    // What was deleted here cannot be sent again: the registry says what it makes of that.
    next_ = std::max(grant.next, log.first);
  } else if (grant.next != acknowledged_) {
    const auto end = std::ranges::find(in_flight_, grant.next, &InFlight::end);
    if (end == in_flight_.end())
      return refuse(ErrorCode::kMessage,
                    fmt::format("the registry acknowledges log {} up to {}, where no segment that "
                                "was sent ends",
                                grant.log.hex(), grant.next));
    acknowledged_ = grant.next;
    in_flight_.erase(in_flight_.begin(), std::next(end));
  }
  announce_ = announce_ || grant.announce;
  window_bytes_ = grant.window_bytes;
  if (failed_)
    return fail(ErrorCode::kState,
                fmt::format("a segment of log {} could not be loaded: nothing more of it is sent "
                            "in this session",
                            grant.log.hex()));
  return {};
}

std::optional<ShipStep> Shipper::next(const SealedLog& log) {
  if (!granted_ || refusal_ || failed_ || loading_ || log.log != log_) return std::nullopt;
  if (announce_) {
    if (log.announcement.empty()) return std::nullopt;
    announce_ = false;
    return ShipStep{ShipStep::Kind::kAnnounce, 0};
  }
  uint64_t under_way = 0;
  for (const InFlight& segment : in_flight_) under_way += segment.bytes;
  // What is deleted by now is a gap for the registry, as after a grant.
  next_ = std::max(next_, log.first);
  // A segment's size is known when it is loaded: the last one may exceed the window.
  if (next_ >= log.size || under_way >= window_bytes_) return std::nullopt;
  loading_ = true;
  return ShipStep{ShipStep::Kind::kSegment, next_};
}

void Shipper::sent(record::Position end, uint64_t bytes) {
  loading_ = false;
  in_flight_.push_back({end, bytes});
  next_ = end;
}

void Shipper::failed() {
  loading_ = false;
  failed_ = true;
}

}  // namespace notp::spool

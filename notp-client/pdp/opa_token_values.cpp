#include "notp-client/pdp/opa_token_values.hpp"

#include <fmt/format.h>

#include "protocol/feed/feed_limits.hpp"
#include "protocol/feed/record_document.hpp"

namespace notp::pdp {
namespace {

using feed::EventKind;

// Statuses begin at the lowest bit of a byte (draft-ietf-oauth-status-list §4.1).
Result<TokenValue> list_json(const feed::Event& event) {
  const size_t in_byte = 8 / event.bits;
  const auto mask = static_cast<uint8_t>((1U << event.bits) - 1);
  TokenValue out{.json = fmt::format(R"({{"size":{},"until_s":{},"set":{{)",
                                     event.list.size() * in_byte, event.until_s)};
  for (size_t at = 0; at < event.list.size(); ++at) {
    auto left = static_cast<uint8_t>(event.list[at]);
    for (size_t i = 0; left != 0; ++i, left = static_cast<uint8_t>(left >> event.bits)) {
      if ((left & mask) == 0) continue;
      if (++out.cost > kOpaListStatusesMax)
        return fail(ErrorCode::kLimit,
                    fmt::format("a status list in which more than {} tokens are not valid",
                                kOpaListStatusesMax));
      fmt::format_to(std::back_inserter(out.json), R"({}"{}":{})", out.cost == 1 ? "" : ",",
                     at * in_byte + i, left & mask);
      if (event.bits == 8) break;
    }
  }
  out.json += "}}";
  return out;
}

std::string_view state_of(rego::LaneContact known) {
  switch (known) {
    case rego::LaneContact::kUnsupported:
      return "unsupported";
    case rego::LaneContact::kDenied:
      return "denied";
    case rego::LaneContact::kHeard:  // OPA finds it by the age
    case rego::LaneContact::kUnknown:
      break;
  }
  return "unknown";
}

std::string_view member_of(EventKind kind) {
  switch (kind) {
    case EventKind::kMark:
      return "marks";
    case EventKind::kList:
      return "lists";
    case EventKind::kDeleted:
      return "deleted";
    case EventKind::kToken:
      break;
  }
  return "live";
}

}  // namespace

Result<TokenValue> token_value(const feed::Event& event) {
  switch (event.kind) {
    case EventKind::kMark:
      return TokenValue{.json = std::to_string(event.not_before_s)};
    case EventKind::kDeleted:
      return TokenValue{.json = std::to_string(event.until_s)};
    case EventKind::kList:
      return list_json(event);
    case EventKind::kToken:
      break;
  }
  return TokenValue{.json = json::serialize(feed::record_document(event.record)), .cost = 1};
}

std::string token_pointer(const feed::EventKey& key) {
  return fmt::format("/{}/{}", member_of(key.kind), key.id.hex());
}

json::object lane_value(const lane::LaneReadout& readout, bool is_complete) {
  json::object out{{"name", readout.lane},
                   {"mode", readout.mode == rego::LaneMode::kAsk ? "ask" : "push"},
                   {"state", state_of(readout.contact)},
                   {"ages", readout.contact == rego::LaneContact::kHeard},
                   {"revision", readout.revision},
                   {"complete", is_complete && readout.is_complete},
                   {"serves", readout.serves},
                   {"hard_ms", readout.hard_s * 1000},
                   {"live_ms", limits::kLaneLiveMs},
                   {"now_ms", readout.trusted_ms}};
  if (readout.heard_ms != 0) out["heard_ms"] = readout.heard_ms;
  return out;
}

}  // namespace notp::pdp

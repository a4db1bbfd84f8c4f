#include "notp-server/lane_inputs/event_types.hpp"

#include <algorithm>
#include <array>

namespace notp::lane_inputs {
namespace {

using enum EventEffect;
using feed::MarkKind;

// notp-server/lane_inputs/README.md, "What events do", is this table for people.
constexpr EventType kTypes[] = {
    // CAEP 1.0 §3
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
     .effect = kRevoke,
     .bare = MarkKind::kSession,
     .ends_session = true},
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change",
     .effect = kRevoke},
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/credential-change",
     .effect = kRevoke,
     .harmless_change = "create"},
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change"},
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change"},
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/risk-level-change"},
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/session-established",
     .bare = MarkKind::kSession},
    {.uri = "https://schemas.openid.net/secevent/caep/event-type/session-presented",
     .bare = MarkKind::kSession},
    // RISC 1.0 §2
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/"
            "account-credential-change-required",
     .effect = kRevoke},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/account-purged",
     .effect = kRevoke},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
     .effect = kRevoke},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/identifier-changed"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/identifier-recycled"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/credential-compromise",
     .effect = kRevoke},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/opt-in"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/opt-out-initiated"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/opt-out-cancelled"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/opt-out-effective"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/recovery-activated"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/recovery-information-changed"},
    {.uri = "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked",
     .effect = kRevoke},
    // SSF 1.0 §8.1.4, §8.1.5
    {.uri = "https://schemas.openid.net/secevent/ssf/event-type/verification",
     .effect = kVerification},
    {.uri = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated",
     .effect = kStreamUpdated},
};

}  // namespace

std::span<const EventType> event_types() { return kTypes; }

const EventType* find_event_type(std::string_view uri) {
  const auto found = std::ranges::find(event_types(), uri, &EventType::uri);
  return found == event_types().end() ? nullptr : &*found;
}

bool is_event_name(std::string_view name) {
  return std::ranges::any_of(event_types(), [name](const EventType& type) {
    const bool is_of_stream = type.effect == kVerification || type.effect == kStreamUpdated;
    return !is_of_stream && event_name(type.uri) == name;
  });
}

std::string_view event_name(std::string_view uri) { return uri.substr(uri.rfind('/') + 1); }

}  // namespace notp::lane_inputs

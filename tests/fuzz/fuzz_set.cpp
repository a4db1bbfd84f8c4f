// What sources of token lanes send and transmitters answer. The first byte says what the rest is: a
// security event token, the claims of one that was verified, lines of the own form, an answer to a
// poll, or a document of a transmitter.
#include <string_view>

#include "common/assert.hpp"
#include "common/http/url.hpp"
#include "common/jose/json_depth.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/own_events.hpp"
#include "notp-server/lane_inputs/poll_core.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "notp-server/lane_inputs/security_event.hpp"
#include "notp-server/lane_inputs/ssf_documents.hpp"

namespace {

using namespace notp;
using namespace notp::lane_inputs;

constexpr TimeMs kNow = 1'800'000'000'000;
const std::string kIssuer = "https://login.example";

SetRules rules() {
  return {.issuer = kIssuer,
          .audiences = {"lane"},
          .subjects = {.issuer = kIssuer,
                       .issuers = {kIssuer},
                       .subjects = {{"ana@shop.example", "u-ana"}}},
          .effects = {{"assurance-level-change", EventEffect::kRevoke}}};
}

bool is_mark(const lane::Revoked& revoked) {
  return !revoked.value.empty() && revoked.value.size() <= kSubjectBytesMax &&
         !revoked.issuer.empty() && revoked.not_before_s >= 0 &&
         revoked.not_before_s <= feed::kAnyIssueTime;
}

void check_claims(std::string_view text) {
  const auto claims = jose::parse_shallow_json(text);
  if (!claims || !claims->is_object()) return;
  const auto event = read_event(claims->get_object(), rules(), kNow);
  if (!event) {
    NOTP_ASSERT(!rule_of(event.error()).empty(), "a refusal has a name");
    NOTP_ASSERT(!set_error_code(event.error()).empty(), "and a code");
    return;
  }
  NOTP_ASSERT(!event->jti.empty() && event->jti.size() <= lane::kSourceKeyBytesMax,
              "a key that a lane takes");
  if (!event->revoked) return;
  NOTP_ASSERT(is_mark(*event->revoked), "a mark within its limits");
  NOTP_ASSERT(event->revoked->issuer == kIssuer, "of an issuer that the source may tell of");
  NOTP_ASSERT(event->revoked->not_before_s == feed::kAnyIssueTime ||
                  event->revoked->kind != feed::MarkKind::kTokenNumber,
              "a token's end has no time");
}

void check_lines(std::string_view body) {
  const std::string issuers[] = {kIssuer};
  const auto lines = read_event_lines(body, issuers, kNow);
  if (!lines) return;
  NOTP_ASSERT(lines->size() <= kEventLinesMax, "lines within their limit");
  size_t before = 0;
  for (const EventLine& line : *lines) {
    NOTP_ASSERT(line.number > before, "in their order");
    before = line.number;
    if (!line.event) {
      NOTP_ASSERT(!rule_of(line.event.error()).empty(), "a refusal has a name");
      continue;
    }
    NOTP_ASSERT(line.event->key.size() <= lane::kSourceKeyBytesMax, "a key that a lane takes");
    if (const auto* revoked = std::get_if<lane::Revoked>(&line.event->what))
      NOTP_ASSERT(is_mark(*revoked) && revoked->issuer == kIssuer, "a mark within its limits");
  }
}

void check_documents(std::string_view body) {
  const TransmitterRules wanted{.issuer = kIssuer,
                                .hosts = {"events.example"},
                                .insecure_loopback = false,
                                .is_push = false,
                                .push_url = {},
                                .events = {}};
  const auto is_ours = [](const std::string& text) {
    if (text.empty()) return true;
    const auto url = http::Url::parse(text);
    const std::string host = url ? lower_case(url->at.host) : "";
    return url && url->is_tls && (host == "login.example" || host == "events.example");
  };
  if (const auto transmitter = read_transmitter(body, wanted))
    NOTP_ASSERT(is_ours(transmitter->configuration_endpoint) &&
                    is_ours(transmitter->status_endpoint) &&
                    is_ours(transmitter->verification_endpoint),
                "endpoints of the configured hosts, over TLS");
  if (const auto streams = read_streams(body, wanted)) {
    NOTP_ASSERT(streams->size() <= kStreamsMax, "streams within their limit");
    for (const SsfStream& stream : *streams) {
      NOTP_ASSERT(!stream.id.empty(), "a stream has an id");
      if (!stream.is_push)
        NOTP_ASSERT(is_ours(stream.endpoint), "fetched from the configured hosts");
    }
  }
  static_cast<void>(read_status(body));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      const auto token = read_set(text);
      if (!token) return 0;
      NOTP_ASSERT(text.size() <= kSetBytesMax, "a token within its limit");
      NOTP_ASSERT(!accept_set(*token, jose::KeySet(), rules(), kNow), "no key, no event");
      break;
    }
    case 1:
      check_claims(text);
      break;
    case 2:
      check_lines(text);
      break;
    case 3:
      if (const auto answer = read_poll_answer(text))
        NOTP_ASSERT(answer->sets.size() <= kPollSetsMax, "an answer within its limit");
      break;
    default:
      check_documents(text);
  }
  return 0;
}

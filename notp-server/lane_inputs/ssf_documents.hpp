// Documents of a transmitter of the Shared Signals Framework 1.0 (§7, §8). Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/json/json.hpp"
#include "notp-server/lane_inputs/event_config.hpp"

namespace notp::lane_inputs {

// What a person has configured of a transmitter: nothing else decides which hosts see the access
// token.
struct TransmitterRules {
  std::string issuer;
  std::vector<std::string> hosts;
  bool insecure_loopback = false;
  bool is_push = false;
  std::string push_url;
  std::vector<std::string> events;  // types that are asked for
};

struct Transmitter {
  std::string configuration_endpoint, status_endpoint, verification_endpoint;  // the latter two may
                                                                               // be empty
  bool adds_subjects = false;  // nothing is sent of subjects that were not added
};

struct SsfStream {
  std::string id;
  std::vector<std::string> audiences;
  bool is_push = false;
  std::string endpoint;  // of its delivery
  std::vector<std::string> events_requested, events_delivered;
  std::string default_subjects;  // "ALL" or "NONE", as for Transmitter; empty: it does not say
};

struct StreamStatus {
  std::string status, reason;
};

// Returns the places of the metadata, in the order in which they are asked: inserted before the
// issuer's path (SSF 1.0 §7.2), then appended to it, as Keycloak has it.
std::vector<std::string> transmitter_urls(std::string_view issuer);

// All of these: kMessage names the member and the rule. URLs are https, on the issuer's host or one
// of `hosts`; `issuer` and `iss` are the configured one, byte for byte.
Result<Transmitter> read_transmitter(ByteView body, const TransmitterRules& rules);
Result<SsfStream> read_stream(ByteView body, const TransmitterRules& rules);
// One, or an array of them. Those that cannot be read are left out: they may be others'.
Result<std::vector<SsfStream>> read_streams(ByteView body, const TransmitterRules& rules);
Result<StreamStatus> read_status(ByteView body);

// The stream that is used: one that delivers as configured, to the configured place.
const SsfStream* fitting_stream(std::span<const SsfStream> streams, const TransmitterRules& rules);

// Bodies of requests. `authorization`: what the transmitter is to send with a push; empty: nothing.
std::string create_request(const TransmitterRules& rules, const std::string& description,
                           const std::string& authorization);
std::string update_request(const SsfStream& stream, const TransmitterRules& rules,
                           const std::string& authorization);
std::string verification_request(const SsfStream& stream, const std::string& state);
std::string enable_request(const SsfStream& stream);
// Whether it asks for other events than these.
bool wants_other_events(const SsfStream& stream, const TransmitterRules& rules);

}  // namespace notp::lane_inputs

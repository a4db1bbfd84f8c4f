// Makes the configured sources of a lane. Each kind registers itself in a table of its file, which
// source_factory.cpp names.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/config.hpp"
#include "common/jose/key_set.hpp"
#include "notp-server/lane/intake.hpp"
#include "notp-server/lane_inputs/source_config.hpp"

namespace notp::lane_inputs {

class PushRoutes;

// Returns the published keys of an issuer of the section `sources`; null: there is no such issuer,
// or it has no keys yet. Thread-safe, does not block for the issuer.
using IssuerKeys = std::function<std::shared_ptr<const jose::KeySet>(std::string_view issuer)>;
// A token of that issuer names a key that it does not have: its keys are fetched soon. Thread-safe.
using UnknownKey = std::function<void(std::string_view issuer, std::string_view kid)>;

// What surrounds a source. References and pointers outlive it.
struct SourceParts {
  lane::LaneIntake& intake;
  std::string lane;  // the name of its lane
  IssuerKeys issuer_keys;
  UnknownKey unknown_key;
  PushRoutes* routes = nullptr;  // null: there is no lanes.listen
  Environment environment = {};  // for proxies: see http::ClientOptions
  // Of one thread that sources share: nothing on it blocks. A source that asks hosts by name has a
  // thread and a context of its own, since a name server that hangs holds up all of one context.
  boost::asio::any_io_executor executor;
};

// The source is not started. kConfig: a file that it needs cannot be read; a kind that receives
// requests without lanes.listen.
Result<std::unique_ptr<lane::LaneSource>> make_source(const SourceConfig& config,
                                                      const SourceParts& parts);

// --- registration

struct SourceKind {
  std::string_view name;
  Result<std::shared_ptr<const KindTerms>> (*load)(const config::Section& section,
                                                   std::string_view trust_domain);
  Result<std::unique_ptr<lane::LaneSource>> (*make)(const SourceConfig& config,
                                                    const SourceParts& parts);
};

// http, set_push, set_poll, ssf: event_kinds.cpp.
std::span<const SourceKind> event_kinds();
// websocket, redis, postgresql, status_list, introspection: pull_kinds.cpp.
std::span<const SourceKind> pull_kinds();

}  // namespace notp::lane_inputs

// State that the machines of one registry's session share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/session/ports.hpp"
#include "protocol/session/server/server_events.hpp"
#include "protocol/session/server/upload.hpp"
#include "protocol/session/session_output.hpp"

namespace notp::session {

// All members outlive the sessions.
struct ServerPorts {
  const Catalog& catalog;
  const TargetSource& targets;
  const SessionRights& rights;
  const FreshnessSource* freshness = nullptr;  // null: no statements are sent
  UploadSpace* uploads = nullptr;              // null: MemoryUploads
  const IssuerStatuses* sources = nullptr;     // null: the registry has no key sources
  ReaderClasses* classes = nullptr;            // null: each peer has statements of its own
};

struct ServerInfo {
  std::string server;
  std::string trust_domain;
  std::string peer;  // identity of the other end: reader of targets and freshness statements
};

// One thread. It outlives the machines.
struct ServerContext {
  const ServerPorts ports;
  const ServerInfo info;
  SessionOutput& output;
  std::vector<ServerEvent> events = {};

  // Returns the release that the peer shall run; nullopt: there is none.
  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger) const {
    return ports.targets.target(ledger, info.peer);
  }
  // Whether statements attest the head of this ledger, as far as is known.
  bool attests(const model::LedgerId& ledger) const {
    return ports.freshness == nullptr || ports.freshness->attests(ledger);
  }
  Result<void> may(wire::Action action, const model::LedgerId* ledger) const {
    return ports.rights.may(action, ledger);
  }
};

}  // namespace notp::session

// What the log says of one issuer: each failure once while it lasts.
#pragma once

#include <string>

#include "common/result.hpp"
#include "notp-server/sources/issuer_core.hpp"

namespace notp::sources {

// One thread at a time.
class IssuerLog {
 public:
  IssuerLog(std::string name, std::string issuer, std::string ledger)
      : name_(std::move(name)), issuer_(std::move(issuer)), ledger_(std::move(ledger)) {}

  void fetch_failed(const Error& error);
  void fetch_succeeded() { fetch_said_.clear(); }
  void publish_failed(const Error& error);
  void publish_succeeded() { publish_said_.clear(); }
  // After each event, and when time changed the state.
  void state_is(wire::IssuerState state);

 private:
  const std::string name_, issuer_, ledger_;
  std::string fetch_said_, publish_said_;
  wire::IssuerState state_ = wire::IssuerState::kOk;
};

}  // namespace notp::sources

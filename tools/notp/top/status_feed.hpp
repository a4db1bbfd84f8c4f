// What a registry says of itself, asked again and again over one session.
#pragma once

#include <memory>
#include <string>

#include "tools/notp/command.hpp"
#include "tools/notp/registry_client.hpp"

namespace notp::cli {

// The status with all of its ledgers, from as many answers as they take. The counters are those of
// the first answer.
Result<wire::RegistryStatus> ask_status(RegistryClient& client);

// One thread. A session that has ended is followed by another with the next question.
class StatusFeed {
 public:
  // The first session, like that of any command: what is wrong with the settings ends here, and
  // notes go to standard error.
  static Result<StatusFeed> open(const Context& context);

  // As in RegistryClient, for questions from now on.
  void set_meanwhile(RegistryClient::Meanwhile meanwhile);
  // kDenied; kCancelled when the meanwhile said so; whatever keeps a session from being opened.
  Result<wire::RegistryStatus> ask();
  // As ask(), for the first time: a registry that has just started counts its nodes first, and is
  // asked again for kFirstCountMs.
  Result<wire::RegistryStatus> ask_first();

  const std::string& registry() const { return settings_.registry; }

 private:
  StatusFeed(Settings settings, std::string trust_domain, std::unique_ptr<RegistryClient> client)
      : settings_(std::move(settings)),
        trust_domain_(std::move(trust_domain)),
        client_(std::move(client)) {}

  Settings settings_;
  std::string trust_domain_;
  RegistryClient::Meanwhile meanwhile_;
  std::unique_ptr<RegistryClient> client_;  // null: the next question opens a session
};

}  // namespace notp::cli

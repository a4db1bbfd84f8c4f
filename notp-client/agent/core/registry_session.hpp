// The outgoing messages of the core's parts to the registry. Pure. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "protocol/session/client/client_session.hpp"

namespace notp::agent {

// Without an open session messages are dropped, and not queued for the next one: it begins with a
// Hello that carries the full state.
class RegistryPort {
 public:
  virtual ~RegistryPort() = default;
  // Not before the registry's Welcome.
  virtual void commit(wire::Commit commit) = 0;
  virtual void want(wire::Want want) = 0;
  virtual void send_inventory(const model::LedgerId& ledger, delta::Inventory inventory) = 0;
  virtual void send_held(const wire::Held& held) = 0;
  // Answers the session's ReturnWanted, as ClientSession::give_back().
  virtual void give_back(wire::Return head, model::Content artifact) = 0;
  virtual void send_unknown_key(const wire::UnknownKey& key) = 0;
  // Ends the session.
  virtual void say_bye(std::string reason) = 0;
};

// The session of the open connection, if there is one.
class RegistrySession final : public RegistryPort {
 public:
  session::ClientSession& begin(wire::Hello hello, std::vector<session::PartialArtifact> partials,
                                Now now) {
    session_ = std::make_unique<session::ClientSession>(std::move(hello), std::move(partials), now);
    return *session_;
  }
  void end() { session_.reset(); }

  // Null: no connection is open.
  session::ClientSession* get() const { return session_.get(); }
  bool is_open() const { return session_ && !session_->is_closed(); }
  bool is_welcomed() const { return is_open() && session_->is_welcomed(); }

  void commit(wire::Commit commit) override {
    if (is_welcomed()) session_->commit(std::move(commit));
  }
  void want(wire::Want want) override {
    if (is_open()) session_->want({std::move(want)});
  }
  void send_inventory(const model::LedgerId& ledger, delta::Inventory inventory) override {
    if (is_open()) session_->inventory(ledger, std::move(inventory));
  }
  void send_held(const wire::Held& held) override {
    if (is_open()) session_->held(held);
  }
  void give_back(wire::Return head, model::Content artifact) override {
    if (is_open()) session_->give_back(std::move(head), std::move(artifact));
  }
  void send_unknown_key(const wire::UnknownKey& key) override {
    if (is_welcomed()) session_->unknown_key(key);
  }
  void say_bye(std::string reason) override {
    if (session_) session_->say_bye(std::move(reason));
  }

 private:
  std::unique_ptr<session::ClientSession> session_;
};

}  // namespace notp::agent

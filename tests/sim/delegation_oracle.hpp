// Knows what was truly given, and checks every token that is signed against it. It reads requests
// and claims by itself: it shares no rule with the core.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "notp-client/txn/issue/token_form.hpp"
#include "tests/sim/delegation_port.hpp"

namespace notp::sim {

// The scope of a subject token that a scope of this domain needs.
std::string needed_scope(const std::string& scope);

class DelegationOracle {
 public:
  explicit DelegationOracle(DelegationPort& port) : port_(port) {}

  struct Subject {
    std::string sub;
    std::set<std::string> scopes;
  };
  // A genuine access token of a user.
  void minted(const std::string& token, Subject subject) { subjects_[token] = std::move(subject); }

  struct Signed {
    std::string client;   // SPIFFE id
    txn::TokenForm form;  // as it was sent
    json::object claims;  // of the token
    std::string made;     // the number of the grant that the answer has; empty: none
    bool is_repeat = false;
    TimeMs checked_ms = 0;  // true time at which the lane was asked
    TimeMs service_ms = 0;  // trusted time of the service
  };
  void on_signed(const Signed& token);

  // From now on.
  void revoked_txn(const std::string& txn);
  void revoked_user(const std::string& sub) { revoked_users_.emplace(sub, port_.time_ms()); }
  // By a mark on the lane alone.
  void marked_txn(const std::string& txn) { marked_txns_.emplace(txn, port_.time_ms()); }

  size_t uses() const { return uses_; }

 private:
  struct Token {
    std::string text;  // claims
    std::string sub, root;
    std::set<std::string> scopes;
    std::string workload;
  };
  struct Grant {
    std::string parent, root, sub, to, digest, origin;
    std::set<std::string> scopes;
    std::vector<std::string> chain, lineage;  // workloads; txns of the tokens by which it came
    int64_t not_after_s = 0, uses = 1;
    std::set<std::string> txns;  // of the tokens that it made
    bool is_revoked = false;
  };

  void check_first(const Signed& token, const Token& issued);
  void check_redeemed(const Signed& token, const Token& issued, Grant& grant);
  void check_claims(const Signed& token, const Token& issued);
  void add_grant(const Signed& token, const Token& issued, const Grant* from);
  void fail(const Signed& token, const std::string& what);

  DelegationPort& port_;
  std::map<std::string, Subject> subjects_;  // by token
  std::map<std::string, Token> tokens_;      // by txn
  std::map<std::string, Grant> grants_;
  std::map<std::string, TimeMs> revoked_users_, marked_txns_;
  size_t uses_ = 0;
};

}  // namespace notp::sim

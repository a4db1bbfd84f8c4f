// The Txn-Token Service of a world of delegations: the real issuer core and the real store of
// grants, and a model of their host, which does one step of a request at a time and can be killed
// between any two.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "notp-client/txn/issue/jti_table.hpp"
#include "tests/sim/delegation_oracle.hpp"
#include "tests/sim/delegation_port.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::sim {

struct ServiceAnswer {
  json::object claims;
  std::string grant;  // empty: none
};

class SimTokenService {
 public:
  using Policy = std::function<Result<std::optional<json::value>>(const json::object& input)>;
  using Answer = std::function<void(const txn::TokenResult<ServiceAnswer>&)>;

  SimTokenService(DelegationPort& port, DelegationOracle& oracle, Policy policy);

  // A request arrives. `answer` is called once, or never.
  void request(const std::string& workload, std::string body, Answer answer);
  void kill();
  void revoke_txn(const std::string& txn);
  void revoke_user(const std::string& sub);
  // The lane has a mark of a token signed before, of any depth; nobody tells the grants.
  void mark_txn();
  void jump(TimeMs ms);
  void correct_clock();
  void sweep();
  // The lane is too old to say anything.
  void set_stale(bool is_stale) { is_stale_ = is_stale; }
  size_t grants() const { return grants_ ? grants_->size() : 0; }

 private:
  struct Request;
  using RequestPtr = std::shared_ptr<Request>;

  TimeMs wall_ms() const { return port_.time_ms() + offset_ms_; }
  TimeMs trusted_ms();
  void open();
  // Does `step` later, unless the service was killed meanwhile.
  bool is_revoked(const json::object& claims) const;  // what the lane says
  void then(TimeMs delay_ms, std::function<void()> step);
  void check(const RequestPtr& request);
  txn::TokenResult<> check_now(Request& request);
  void decide(const RequestPtr& request);
  void store(const RequestPtr& request);
  void apply_waiting();
  void sign(const RequestPtr& request, const txn::GrantedToken& token, bool is_repeat);
  void refuse(const RequestPtr& request, const txn::TokenError& error);
  void send(const RequestPtr& request, txn::TokenResult<ServiceAnswer> answer);

  DelegationPort& port_;
  DelegationOracle& oracle_;
  const Policy policy_;
  const TemporaryFolder folder_;
  const txn::IssuerCore core_;
  std::shared_ptr<const jose::KeySet> login_keys_;
  std::unique_ptr<txn::SqliteGrants> grants_;  // null: the process is dead
  txn::JtiTable jtis_;
  std::vector<RequestPtr> waiting_;  // for the store
  std::set<std::string> revoked_users_, marked_txns_;
  std::vector<std::string> signed_txns_;
  TimeMs offset_ms_ = 0, trusted_ms_ = 0, persisted_ms_ = 0;
  uint64_t run_ = 0, txns_ = 0;
  bool is_stale_ = false;
};

}  // namespace notp::sim

#include "tests/sim/delegation_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/assert.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kPersistMs = 5'000;  // how often the agent's store keeps trusted time

}  // namespace

struct SimTokenService::Request {
  std::string workload, body;
  Answer answer;
  txn::TokenForm form;
  std::optional<txn::CheckedRequest> checked;
  std::optional<txn::PolicyAsk> ask;
  std::optional<txn::Issued> issued;
  TimeMs checked_ms = 0;  // true time
};

SimTokenService::SimTokenService(DelegationPort& port, DelegationOracle& oracle, Policy policy)
    : port_(port),
      oracle_(oracle),
      policy_(std::move(policy)),
      core_(txn_world::subject_rules()),
      login_keys_(std::make_shared<jose::KeySet>(txn_world::key_set("login", "l1"))) {
  open();
}

void SimTokenService::open() {
  auto opened = txn::SqliteGrants::open({.folder = folder_.path()});
  NOTP_ASSERT(opened, "the grants of a world can be opened");
  grants_ = *std::move(opened);
}

TimeMs SimTokenService::trusted_ms() {
  trusted_ms_ = std::max(trusted_ms_, wall_ms());
  if (trusted_ms_ >= persisted_ms_ + kPersistMs) persisted_ms_ = trusted_ms_;
  return trusted_ms_;
}

void SimTokenService::kill() {
  if (!grants_) return;
  port_.note("kills of the service");
  ++run_;
  grants_.reset();
  jtis_ = {};
  waiting_.clear();
  trusted_ms_ = persisted_ms_;
  port_.at(port_.between(50, 3'000), [this] { open(); });
}

void SimTokenService::jump(TimeMs ms) {
  port_.note("clock jumps", fmt::format("{} ms", ms));
  offset_ms_ += ms;
}

// The registry proves what time it is.
void SimTokenService::correct_clock() {
  offset_ms_ = 0;
  trusted_ms_ = persisted_ms_ = wall_ms();
}

void SimTokenService::sweep() {
  if (!grants_) return;
  const auto more = grants_->sweep(trusted_ms());
  NOTP_ASSERT(more, "the grants of a world can be swept");
}

void SimTokenService::revoke_txn(const std::string& txn) {
  if (!grants_) return;
  const auto revoked = grants_->revoke({.grant = {}, .txn = txn, .from = {}}, trusted_ms());
  NOTP_ASSERT(revoked, "the grants of a world can be revoked");
  port_.note("revoked transactions", fmt::format("{}, {} grants", txn, revoked->grants));
  oracle_.revoked_txn(txn);
}

void SimTokenService::revoke_user(const std::string& sub) {
  port_.note("revoked users", sub);
  revoked_users_.insert(sub);
  oracle_.revoked_user(sub);
}

void SimTokenService::mark_txn() {
  if (signed_txns_.empty()) return;
  const size_t back = port_.random().below(std::min<uint64_t>(signed_txns_.size(), 50));
  const std::string txn = signed_txns_[signed_txns_.size() - 1 - back];
  port_.note("marked transactions", txn);
  marked_txns_.insert(txn);
  oracle_.marked_txn(txn);
}

bool SimTokenService::is_revoked(const json::object& claims) const {
  const auto text = [&claims](std::string_view name) {
    const json::value* value = claims.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  if (text("iss") == txn_world::kLogin) return revoked_users_.contains(text("sub"));
  return text("iss") == txn_world::kService && marked_txns_.contains(text("txn"));
}

void SimTokenService::then(TimeMs delay_ms, std::function<void()> step) {
  port_.at(delay_ms, [this, run = run_, step = std::move(step)] {
    if (run == run_ && grants_) step();
  });
}

void SimTokenService::request(const std::string& workload, std::string body, Answer answer) {
  if (!grants_) return;
  const auto request = std::make_shared<Request>();
  request->workload = workload;
  request->body = std::move(body);
  request->answer = std::move(answer);
  check(request);
}

txn::TokenResult<> SimTokenService::check_now(Request& request) {
  const TimeMs now_ms = trusted_ms();
  NOTP_ASSIGN(request.form, txn::read_form(txn_world::kFormType, request.body));
  NOTP_ASSIGN(txn::CheckedRequest checked, core_.check(
                                               request.form, txn_world::client(request.workload),
                                               [this](const std::string& name) {
                                                 return name == "login" ? login_keys_ : nullptr;
                                               },
                                               now_ms));
  if (checked.jti_use) NOTP_TRY(jtis_.take(*checked.jti_use, now_ms));
  if (checked.redeem) {
    auto found = grants_->find(checked.redeem->grant_id, checked.client, checked.subject.jti);
    NOTP_ASSERT(found, "the grants of a world can be read");
    NOTP_TRY(core_.attach_grant(checked, *std::move(found), now_ms));
  }
  request.checked_ms = port_.time_ms();
  std::vector<txn::LaneFinding> findings;
  for (const txn::LaneQuestion& question : core_.lane_questions(checked)) {
    using State = txn::LaneFinding::State;
    findings.push_back({is_stale_                     ? State::kStale
                        : is_revoked(question.claims) ? State::kRevoked
                                                      : State::kGood,
                        std::nullopt});
  }
  NOTP_TRY(core_.attach_lane(checked, std::move(findings)));
  request.checked = std::move(checked);
  return {};
}

void SimTokenService::check(const RequestPtr& request) {
  if (const auto checked = check_now(*request); !checked) return refuse(request, checked.error());
  if (request->checked->repeated) return sign(request, *request->checked->repeated, true);
  auto ask = core_.ask(*request->checked, fmt::format("t{}", ++txns_), trusted_ms());
  if (!ask) return refuse(request, ask.error());
  request->ask = *std::move(ask);
  then(port_.between(0, 20), [this, request] { decide(request); });
}

void SimTokenService::decide(const RequestPtr& request) {
  const auto random = [this](size_t size) {
    Bytes out(size, '\0');
    for (char& c : out) c = static_cast<char>(port_.random().next_u64());
    return out;
  };
  auto issued = core_.finish(*request->ask, policy_(request->ask->input), random, trusted_ms());
  if (!issued) return refuse(request, issued.error());
  request->issued = *std::move(issued);
  if (!request->issued->grant && !request->issued->use)
    return sign(request, {request->issued->claims, ""}, false);
  store(request);
}

// What comes while one transaction is written goes into the next one.
void SimTokenService::store(const RequestPtr& request) {
  waiting_.push_back(request);
  if (waiting_.size() == 1) then(port_.between(0, 5), [this] { apply_waiting(); });
}

void SimTokenService::apply_waiting() {
  const std::vector<RequestPtr> requests = std::exchange(waiting_, {});
  std::vector<txn::GrantChange> changes;
  for (const RequestPtr& request : requests) {
    if (request->issued->use)
      changes.emplace_back(*request->issued->use);
    else
      changes.emplace_back(*request->issued->grant);
  }
  const auto outcomes = grants_->apply(changes, trusted_ms());
  NOTP_ASSERT(outcomes, "the grants of a world can be written");
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto& outcome = (*outcomes)[i];
    if (!outcome)
      refuse(requests[i], outcome.error());
    else if (requests[i]->issued->use)
      sign(requests[i], outcome->token, outcome->is_repeat);
    else
      sign(requests[i], {requests[i]->issued->claims, requests[i]->issued->grant_id()}, false);
  }
  // Between an answer and whatever follows it.
  if (port_.fault(2)) kill();
}

void SimTokenService::sign(const RequestPtr& request, const txn::GrantedToken& token,
                           bool is_repeat) {
  oracle_.on_signed({txn_world::workload(request->workload), request->form, token.claims,
                     token.grant_id, is_repeat, request->checked_ms, trusted_ms()});
  signed_txns_.emplace_back(token.claims.at("txn").as_string());
  port_.note(is_repeat ? "repeated" : "signed",
             fmt::format("{} {} {}", request->workload, json::serialize(token.claims.at("txn")),
                         token.grant_id));
  send(request, ServiceAnswer{token.claims, token.grant_id});
}

void SimTokenService::refuse(const RequestPtr& request, const txn::TokenError& error) {
  port_.note(fmt::format("refused: {}", error.reason()), request->workload);
  send(request, std::unexpected(error));
}

// What is on its way arrives, or not, whatever becomes of the service.
void SimTokenService::send(const RequestPtr& request, txn::TokenResult<ServiceAnswer> answer) {
  if (port_.fault(10)) return port_.note("lost answers");
  port_.at(port_.between(1, 30),
           [request, answer = std::move(answer)] { request->answer(answer); });
}

}  // namespace notp::sim

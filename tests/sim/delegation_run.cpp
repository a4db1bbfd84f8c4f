// The story of a world of delegations: workloads, their broker, thieves, policies, time and faults.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <queue>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/sim/delegation_oracle.hpp"
#include "tests/sim/delegation_service.hpp"
#include "tests/sim/delegation_world.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kTimeoutMs = 2'000;      // of a request
constexpr TimeMs kTokenAgeMs = 25'000;    // then a workload signs a new one
constexpr TimeMs kRedeliveryMs = 5'000;   // of a message that is not acknowledged
constexpr TimeMs kTokenLifeMs = 600'000;  // of access tokens
constexpr int kAttemptsMax = 12;
constexpr int kDeliveriesMax = 30;
constexpr uint64_t kUsers = 40;
constexpr uint64_t kCalmDelegations = 8;  // at the end, which must all succeed
constexpr std::array<const char*, 6> kWorkloads = {"a", "b", "c", "d", "e", "f"};
constexpr std::array<const char*, 4> kScopes = {"order:pay", "order:read", "stock:sell", "report"};

struct Message {
  uint64_t id = 0;
  std::string grant, digest;  // of the job, as it is in the message
  std::string to;             // workload
  std::vector<std::string> scopes;
  int64_t not_after_s = 0;
  int64_t uses = 1;
  int hops = 0;  // that are to follow
  bool is_calm = false;
};

struct Job {
  Message message;
  json::object wish;  // empty: nothing is passed on
  std::vector<std::string> scopes;
  std::string body;
  TimeMs signed_ms = 0;
  int attempts = 0;
  uint64_t asked = 0;  // the request that is waited for; 0: none
};

struct Workload {
  std::map<uint64_t, Job> jobs;
  std::set<uint64_t> done;
  TimeMs offset_ms = 0;  // of its clock
  uint64_t run = 0, jtis = 0;
};

class DelegationWorld final : public DelegationPort {
 public:
  explicit DelegationWorld(const DelegationWorldOptions& options)
      : DelegationPort(options.seed),
        options_(options),
        oracle_(*this),
        service_(*this, oracle_, [this](const json::object& input) { return policy(input); }) {}

  DelegationVerdict run();

 private:
  struct Event {
    TimeMs at_ms;
    uint64_t sequence;
    std::function<void()> action;
    bool operator>(const Event& other) const {
      return std::tie(at_ms, sequence) > std::tie(other.at_ms, other.sequence);
    }
  };

  struct AccessToken {
    TimeMs until_ms = 0;
    std::string text;
    std::set<std::string> scopes;
  };

  TimeMs time_ms() const override { return now_ms_; }
  void at(TimeMs delay_ms, std::function<void()> action) override {
    events_.push({now_ms_ + delay_ms, sequence_++, std::move(action)});
  }
  void note(std::string_view what, const std::string& detail = {}) override;
  void violation(const std::string& text) override;
  bool faulty() const override { return options_.faults && !is_healed_; }
  void drain();

  template <typename Range>
  auto pick(const Range& range) {
    return range[random().below(std::size(range))];
  }
  std::vector<std::string> some_of(const std::vector<std::string>& all);
  const AccessToken& access_token(const std::string& sub);

  void begin(bool is_calm);
  void ask_first(const std::string& name, const TokenRequest& form, Message message, int attempts);
  void publish(const Message& message, int deliveries = 0);
  void deliver(Message message);
  void on_message(const std::string& name, const Message& message);
  void attempt(const std::string& name, uint64_t id);
  void sign_job(const std::string& name, Job& job);
  void on_answer(const std::string& name, uint64_t id,
                 const txn::TokenResult<ServiceAnswer>& answer);
  void redeemed(const std::string& name, const Job& job, const ServiceAnswer& answer);
  void refused(const std::string& name, Job& job, const txn::TokenError& error);
  json::object wish_for(const Message& next);
  void steal();
  void send(const std::string& name, std::string body, SimTokenService::Answer answer);

  Result<std::optional<json::value>> policy(const json::object& input);
  void err(const json::object& input, json::object& answer);
  void fault_now();
  void kill_workload();

  const DelegationWorldOptions options_;
  DelegationVerdict verdict_;
  Sha256 trace_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  TimeMs now_ms_ = txn_world::kStartMs;
  uint64_t sequence_ = 0, messages_ = 0, requests_ = 0, calm_done_ = 0;
  bool is_healed_ = false;
  DelegationOracle oracle_;
  SimTokenService service_;
  std::map<std::string, Workload> workloads_;
  std::map<std::string, AccessToken> access_tokens_;  // by sub
  std::set<uint64_t> acknowledged_;
  std::vector<std::string> txns_;      // of first tokens
  std::optional<ServiceAnswer> seen_;  // what a thief has
};

void DelegationWorld::note(std::string_view what, const std::string& detail) {
  const std::string line = fmt::format("{} {} {}\n", now_ms_ - txn_world::kStartMs, what, detail);
  trace_.update(line);
  if (options_.trace) options_.trace(line);
  ++verdict_.counts[std::string(what)];
}

void DelegationWorld::violation(const std::string& text) {
  verdict_.violations.push_back(
      fmt::format("seed {} at {} ms: {}", options_.seed, now_ms_ - txn_world::kStartMs, text));
  note("VIOLATION", text);
}

void DelegationWorld::drain() {
  while (!events_.empty() && verdict_.violations.size() < 20) {
    Event event = events_.top();
    events_.pop();
    now_ms_ = event.at_ms;
    ++verdict_.events;
    event.action();
  }
}

std::vector<std::string> DelegationWorld::some_of(const std::vector<std::string>& all) {
  std::vector<std::string> out;
  for (const std::string& one : all)
    if (chance(60)) out.push_back(one);
  if (out.empty()) out.push_back(pick(all));
  return out;
}

// What the login service gives a user; it is used until shortly before its end.
const DelegationWorld::AccessToken& DelegationWorld::access_token(const std::string& sub) {
  AccessToken& token = access_tokens_[sub];
  if (now_ms_ < token.until_ms) return token;
  const uint64_t kind = random().below(4);
  token.scopes = {"orders", "trade", "read"};
  if (kind == 1) token.scopes.erase("trade");
  if (kind == 2) token.scopes.erase("orders");
  token.text =
      txn_world::access_token(now_ms_, {{"sub", sub},
                                        {"scope", fmt::format("{}", fmt::join(token.scopes, " "))},
                                        {"jti", fmt::format("{}", now_ms_)},
                                        {"exp", (now_ms_ + kTokenLifeMs) / 1'000}});
  token.until_ms = now_ms_ + kTokenLifeMs - 60'000;
  oracle_.minted(token.text, {sub, token.scopes});
  return token;
}

// --- workloads

json::object DelegationWorld::wish_for(const Message& next) {
  const bool is_open = chance(20);  // to any workload
  return {{"to", txn_world::workload(is_open ? "*" : next.to)},
          {"scope", fmt::format("{}", fmt::join(next.scopes, " "))},
          {"not_after", next.not_after_s},
          {"uses", next.uses},
          {"digest", next.digest}};
}

void DelegationWorld::begin(bool is_calm) {
  const std::string name = pick(kWorkloads);
  const std::string sub =
      is_calm ? fmt::format("calm{}", messages_) : fmt::format("u{}", random().below(kUsers));
  const AccessToken& token = access_token(sub);
  Message message;
  message.id = ++messages_;
  message.hops = static_cast<int>(random().below(4));
  message.to = pick(kWorkloads);
  message.digest = to_base64url(sha256(fmt::format("job {}", message.id)).view());
  message.not_after_s = (now_ms_ + between(20'000, 600'000)) / 1'000;
  message.uses = chance(90) ? 1 : between(2, 3);
  message.is_calm = is_calm;
  std::vector<std::string> scopes(kScopes.begin(), kScopes.end());
  // Mostly what the user has.
  if (is_calm || chance(85))
    std::erase_if(scopes, [&token](const std::string& scope) {
      return !token.scopes.contains(needed_scope(scope));
    });
  scopes = some_of(scopes);
  message.scopes = some_of(scopes);
  const json::object details = {{"delegate", wish_for(message)}};
  TokenRequest form =
      txn_world::request_of("access_token", token.text, fmt::format("{}", fmt::join(scopes, " ")));
  form = txn_world::with(form, "request_details", json::serialize(details));
  note("begun", fmt::format("{} for {}, {} grants", name, sub, message.hops + 1));
  ask_first(name, form, message, 0);
}

void DelegationWorld::send(const std::string& name, std::string body,
                           SimTokenService::Answer answer) {
  if (fault(5)) return note("lost requests");
  at(between(1, 30), [this, name, body = std::move(body), answer = std::move(answer)] {
    service_.request(name, body, answer);
    if (fault(3)) service_.request(name, body, answer);  // doubled on the way
  });
}

void DelegationWorld::ask_first(const std::string& name, const TokenRequest& form, Message message,
                                int attempts) {
  const auto is_answered = std::make_shared<bool>(false);
  send(name, form_of(form),
       [this, is_answered, message](const txn::TokenResult<ServiceAnswer>& answer) mutable {
         if (!answer || *is_answered) return;
         *is_answered = true;
         txns_.emplace_back(answer->claims.at("txn").as_string());
         seen_ = *answer;
         message.grant = answer->grant;
         publish(message);
       });
  at(kTimeoutMs, [this, is_answered, name, form, message, attempts] {
    if (!*is_answered && attempts < 3) ask_first(name, form, message, attempts + 1);
  });
}

void DelegationWorld::on_message(const std::string& name, const Message& message) {
  Workload& self = workloads_[name];
  if (self.done.contains(message.id)) {
    acknowledged_.insert(message.id);
    return;
  }
  if (self.jobs.contains(message.id)) return;
  Job job;
  job.message = message;
  job.scopes = some_of(message.scopes);
  if (message.hops > 0) {
    Message next = message;
    next.to = pick(kWorkloads);
    next.scopes = some_of(job.scopes);
    next.not_after_s -= between(0, 3);
    next.uses = between(1, message.uses);
    job.wish = wish_for(next);
    if (fault(5)) job.wish["not_after"] = message.not_after_s + 1;  // too wide
    if (fault(5)) job.wish["uses"] = message.uses + 1;
  }
  if (fault(4)) job.scopes.emplace_back(pick(kScopes));
  self.jobs[message.id] = std::move(job);
  attempt(name, message.id);
}

void DelegationWorld::sign_job(const std::string& name, Job& job) {
  Workload& self = workloads_[name];
  std::ranges::sort(job.scopes);
  const auto repeated = std::ranges::unique(job.scopes);
  job.scopes.erase(repeated.begin(), repeated.end());
  json::object details = {{"digest", job.message.digest}};
  if (!job.wish.empty()) details["delegate"] = job.wish;
  job.signed_ms = now_ms_;
  job.body = form_of(txn_world::redeem_form(
      name, fmt::format("{}-{}-{}", name, self.run, ++self.jtis), job.message.grant,
      now_ms_ + self.offset_ms, fmt::format("{}", fmt::join(job.scopes, " ")), details));
}

void DelegationWorld::attempt(const std::string& name, uint64_t id) {
  Workload& self = workloads_[name];
  const auto found = self.jobs.find(id);
  if (found == self.jobs.end()) return;
  Job& job = found->second;
  if (++job.attempts > kAttemptsMax) {
    note("given up", name);
    self.jobs.erase(found);
    return;
  }
  if (job.body.empty() || now_ms_ > job.signed_ms + kTokenAgeMs) sign_job(name, job);
  const uint64_t request = ++requests_, run = self.run;
  job.asked = request;
  // Of two answers the first counts, also when it is late.
  const auto is_open = [this, name, id, run] {
    return workloads_[name].run == run && workloads_[name].jobs.contains(id);
  };
  send(name, job.body, [this, name, id, is_open](const txn::TokenResult<ServiceAnswer>& answer) {
    if (is_open()) on_answer(name, id, answer);
  });
  at(kTimeoutMs, [this, name, id, is_open, request] {
    if (is_open() && workloads_[name].jobs[id].asked == request) attempt(name, id);
  });
}

void DelegationWorld::on_answer(const std::string& name, uint64_t id,
                                const txn::TokenResult<ServiceAnswer>& answer) {
  Workload& self = workloads_[name];
  Job& job = self.jobs[id];
  if (!answer) return refused(name, job, answer.error());
  const Job done = std::move(job);
  self.jobs.erase(id);
  self.done.insert(id);
  if (!fault(10)) acknowledged_.insert(id);
  redeemed(name, done, *answer);
}

void DelegationWorld::redeemed(const std::string& name, const Job& job,
                               const ServiceAnswer& answer) {
  note("redeemed", fmt::format("{} message {}", name, job.message.id));
  if (job.message.is_calm && job.message.hops == 0) ++calm_done_;
  if (job.message.hops == 0) return;
  Message next = job.message;
  next.id = ++messages_;
  next.grant = answer.grant;
  next.hops -= 1;
  const std::string to(job.wish.at("to").as_string());
  next.to = to.ends_with("*") ? pick(kWorkloads) : to.substr(to.rfind('/') + 1);
  next.not_after_s = job.wish.at("not_after").as_int64();
  next.uses = job.wish.at("uses").as_int64();
  next.scopes = txn::read_scopes(job.wish.at("scope").as_string()).value();
  publish(next);
}

void DelegationWorld::refused(const std::string& name, Job& job, const txn::TokenError& error) {
  using enum txn::Refusal;
  const uint64_t id = job.message.id;
  switch (error.refusal) {
    case kGrantUsed:
    case kGrantExpired:
    case kGrantUnknown:
    case kSubjectRevoked:
      acknowledged_.insert(id);
      [[fallthrough]];
    case kGrantNotForClient:
    case kGrantDigest:
      workloads_[name].jobs.erase(id);
      return;
    case kGrantScope:
    case kBadDelegate: {  // what was too wide is asked for narrowly
      job.scopes = some_of(job.message.scopes);
      if (!job.wish.empty()) {
        job.wish["scope"] = job.scopes.front();
        job.wish["not_after"] = job.message.not_after_s;
        job.wish["uses"] = job.message.uses;
      }
      job.body.clear();
      break;
    }
    case kSubjectTime:
    case kSubjectExpired:
    case kSubjectUsed:
    case kGrantRepeatDiffers:
      job.body.clear();
      break;
    default:
      break;
  }
  job.asked = 0;
  const uint64_t run = workloads_[name].run;
  at(between(200, 2'000), [this, name, id, run] {
    if (workloads_[name].run == run) attempt(name, id);
  });
}

// --- the broker

void DelegationWorld::publish(const Message& message, int deliveries) {
  if (acknowledged_.contains(message.id) || deliveries == kDeliveriesMax ||
      now_ms_ > message.not_after_s * 1'000 + kRedeliveryMs)
    return;
  if (!fault(10)) at(between(1, 3'000), [this, message] { deliver(message); });
  if (fault(15)) at(between(1, 40'000), [this, message] { deliver(message); });
  at(kRedeliveryMs, [this, message, deliveries] { publish(message, deliveries + 1); });
}

void DelegationWorld::deliver(Message message) {
  if (fault(3)) message.digest = to_base64url(sha256("altered").view());
  if (fault(4)) on_message(pick(kWorkloads), message);  // whoever it is
  on_message(message.to, message);
}

// --- thieves

void DelegationWorld::steal() {
  const std::string name = pick(kWorkloads), other = pick(kWorkloads);
  const std::string sub = fmt::format("u{}", random().below(kUsers));
  const json::object scope = {{"sub", sub}, {"scope", "orders trade read"}};
  TokenRequest form;
  switch (random().below(6)) {
    case 0:  // an ID token for an access token
      form =
          txn_world::request_of("access_token", txn_world::id_token(now_ms_, scope), "order:pay");
      break;
    case 1:
      form = txn_world::request_of("access_token",
                                   txn_world::access_token(now_ms_, scope, {{"typ", "logout+jwt"}}),
                                   "order:pay");
      break;
    case 2:  // for another audience
      form = txn_world::request_of(
          "access_token",
          txn_world::access_token(now_ms_, changed(scope, {{"aud", "https://other.internal"}})),
          "order:pay");
      break;
    case 3:  // a Txn-Token for an access token
      if (!seen_) return;
      form = txn_world::request_of(
          "access_token",
          txn::sign_txn_token(seen_->claims, "t1", txn_world::signing_key("txn")).value(),
          "order:pay");
      break;
    case 4:  // the self-signed token of another workload, with a grant that was seen
      if (!seen_ || seen_->grant.empty() || name == other) return;
      form = txn_world::redeem_form(other, fmt::format("stolen-{}", ++requests_), seen_->grant,
                                    now_ms_, "order:read");
      break;
    default:  // a grant that was seen
      if (!seen_ || seen_->grant.empty()) return;
      form = txn_world::redeem_form(name, fmt::format("thief-{}", ++requests_), seen_->grant,
                                    now_ms_, "order:read");
  }
  note("thefts");
  send(name, form_of(form), [](const auto&) {});
}

// --- the policy

Result<std::optional<json::value>> DelegationWorld::policy(const json::object& input) {
  const json::object& claims = input.at("subject").at("claims").as_object();
  const bool is_first = input.at("grant").is_null();
  json::array scopes, covers;
  const std::set<std::string> has = [&] {
    const auto known = txn::scopes_of(claims);
    return known ? std::set<std::string>(known->begin(), known->end()) : std::set<std::string>();
  }();
  for (const json::value& scope : input.at("request").at("scope").as_array()) {
    const std::string needed = needed_scope(std::string(scope.as_string()));
    if (is_first && !has.contains(needed)) continue;
    scopes.push_back(scope);
    covers.push_back({{"scope", scope}, {"by", needed}});
  }
  json::object answer = {{"allow", true},
                         {"scope", std::move(scopes)},
                         {"covers", std::move(covers)},
                         {"lifetime_s", between(30, 300)},
                         {"delegate", true}};
  if (is_first) answer["sub"] = claims.at("sub");
  if (fault(10)) err(input, answer);
  return json::value(std::move(answer));
}

// A policy that somebody wrote in a hurry.
void DelegationWorld::err(const json::object& input, json::object& answer) {
  note("careless answers");
  const json::array& requested = input.at("request").at("scope").as_array();
  json::array covers;
  switch (random().below(7)) {
    case 0:
    case 1:  // whatever is asked for, covered by its own name
      answer["scope"] = requested;
      for (const json::value& scope : requested)
        covers.push_back({{"scope", scope}, {"by", scope}});
      answer["covers"] = std::move(covers);
      break;
    case 2:
      answer["sub"] = "root";
      if (input.at("grant").is_null()) answer["allow"] = false;  // its own business
      break;
    case 3:
      answer["lifetime_s"] = 3'600;
      break;
    case 4:
      answer["scope"] = json::array{"order:pay", "admin"};
      break;
    case 5:
      answer["delegate"] = {{"scope", {"admin"}}, {"uses", 16}};
      break;
    default:
      answer["tctx"] = {{"chain", {"spiffe://nobody"}}, {"parent_txn", "t0"}};
  }
}

// --- faults

void DelegationWorld::kill_workload() {
  const std::string name = pick(kWorkloads);
  note("kills of workloads", name);
  Workload& self = workloads_[name];
  self.jobs.clear();
  self.done.clear();
  ++self.run;
}

void DelegationWorld::fault_now() {
  if (!faulty()) return;
  at(between(500, 6'000), [this] { fault_now(); });
  switch (random().below(10)) {
    case 0:
    case 1:
    case 2:
      return service_.kill();
    case 3:
      return kill_workload();
    case 4:
      service_.jump(between(-600'000, 600'000));
      at(between(1'000, 15'000), [this] { service_.correct_clock(); });
      return;
    case 5:
      service_.set_stale(true);
      at(between(500, 4'000), [this] { service_.set_stale(false); });
      return note("stale lane");
    case 6:
      workloads_[pick(kWorkloads)].offset_ms = between(-40'000, 40'000);
      return note("clocks of workloads");
    case 7:
      if (chance(60)) service_.revoke_user(fmt::format("u{}", random().below(kUsers)));
      return;
    case 8:
      for (int i = 0; i < 4; ++i) service_.mark_txn();
      return;
    default:
      if (!txns_.empty())
        service_.revoke_txn(
            txns_[txns_.size() - 1 - random().below(std::min<uint64_t>(txns_.size(), 50))]);
  }
}

// --- the story

DelegationVerdict DelegationWorld::run() {
  TimeMs start_ms = 0;
  for (uint64_t i = 0; i < options_.delegations; ++i) {
    start_ms += between(0, 400);
    at(start_ms, [this] { begin(false); });
    if (options_.faults && chance(8)) at(start_ms, [this] { steal(); });
  }
  for (TimeMs sweep_ms = 0; sweep_ms < start_ms + 700'000; sweep_ms += 10'000)
    at(sweep_ms, [this] { service_.sweep(); });
  if (options_.faults) fault_now();
  at(start_ms + 20'000, [this] {
    is_healed_ = true;
    service_.set_stale(false);
    service_.correct_clock();
    for (auto& [name, workload] : workloads_) workload.offset_ms = 0;
    note("healed");
    for (uint64_t i = 0; i < kCalmDelegations; ++i)
      at(5'000 + between(0, 1'000), [this] { begin(true); });
  });
  drain();
  if (verdict_.violations.empty() && calm_done_ < kCalmDelegations)
    violation(fmt::format("{} of {} delegations without faults came to their end", calm_done_,
                          kCalmDelegations));
  verdict_.counts["uses of grants"] = oracle_.uses();
  verdict_.counts["grants left"] = service_.grants();
  verdict_.trace_hash = trace_.finish();
  return std::move(verdict_);
}

// Keys are made once, for all threads of a campaign.
void make_keys() {
  static std::once_flag made;
  std::call_once(made, [] {
    for (const char* name : {"login", "txn"}) txn_world::signing_key(name);
    for (const char* name : kWorkloads) txn_world::signing_key(name);
  });
}

}  // namespace

DelegationVerdict run_delegation_world(const DelegationWorldOptions& options) {
  make_keys();
  return DelegationWorld(options).run();
}

}  // namespace notp::sim

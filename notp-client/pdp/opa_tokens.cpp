#include "notp-client/pdp/opa_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/assert.hpp"

namespace notp::pdp {

using feed::EventKey;
using feed::EventKind;

namespace {

constexpr const char* kDocument = "/v1/data/tokens";
constexpr size_t kAnswerShownBytes = 300;
constexpr const char* kProtect =
    "run it with --authentication=token --authorization=basic and the configuration that "
    "'notp-client opa-config' prints";

// What a token loses comes before what it gains: between two patches nothing is served that the
// lane has revoked.
int urgency(const EventKey& key, bool is_gone) {
  if (key.kind == EventKind::kToken) return is_gone ? 0 : 4;
  if (is_gone) return 5;
  return key.kind == EventKind::kMark ? 1 : key.kind == EventKind::kDeleted ? 2 : 3;
}

}  // namespace

std::string_view opa_tokens_state_name(OpaTokensState state) {
  switch (state) {
    case OpaTokensState::kUnprotected:
      return "unprotected";
    case OpaTokensState::kRefused:
      return "refused";
    case OpaTokensState::kFilling:
      return "filling";
    case OpaTokensState::kReady:
      return "ready";
    case OpaTokensState::kWaiting:
      break;
  }
  return "waiting";
}

OpaTokens::OpaTokens(std::string instance, OpaTokensLimits limits)
    : instance_(std::move(instance)), limits_(limits) {}

// --- what is wanted

const TokenValue* OpaTokens::upcoming(const EventKey& key) const {
  if (const auto found = next_.find(key); found != next_.end()) return &found->second;
  const auto found = batch_.find(key);
  return found != batch_.end() ? &found->second : nullptr;
}

// What a key will count once everything is written.
size_t OpaTokens::cost_after(const EventKey& key) const {
  if (const TokenValue* const value = upcoming(key)) return value->cost;
  const auto found = held_.find(key);
  return found != held_.end() ? found->second : 0;
}

void OpaTokens::put(const EventKey& key, TokenValue value) {
  const bool is_gone = value.json.empty();
  if (is_gone) refused_.erase(key);
  if (is_gone && !upcoming(key) && !held_.contains(key)) return;
  const size_t before = cost_after(key);
  if (value.cost > before && status_.tokens + value.cost - before > limits_.tokens_max) {
    refused_.insert(key);
    // An old list must not stay: what it calls valid may be revoked.
    if (key.kind == EventKind::kList) put(key, {});
    refused_.insert(key);
    return;
  }
  refused_.erase(key);
  status_.tokens = status_.tokens + value.cost - before;
  next_[key] = std::move(value);
}

void OpaTokens::put_event(const feed::Event& event) {
  const EventKey key = feed::key_of(event);
  auto value = token_value(event);
  if (!value) {
    put(key, {});
    refused_.insert(key);
    return;
  }
  if (key.kind == EventKind::kDeleted) put({EventKind::kToken, key.id}, {});
  if (key.kind == EventKind::kToken) put({EventKind::kDeleted, key.id}, {});
  put(key, *std::move(value));
}

// All that OPA has, or is about to get, and the whole table lacks, goes.
void OpaTokens::put_whole(const lane::TableUpdate& update) {
  std::vector<EventKey> all;
  for (const auto& [key, cost] : held_) all.push_back(key);
  for (const auto& [key, value] : batch_) all.push_back(key);
  for (const auto& [key, value] : next_) all.push_back(key);
  for (const EventKey& key : all) put(key, {});
  refused_.clear();
  lane::for_each(update, [this](const feed::Event& event) {
    put_event(event);
    return true;
  });
}

void OpaTokens::apply(lane::TableUpdate update, Done done) {
  if (update.feed.is_whole) {
    has_table_ = true;
    is_lost_ = false;
    put_whole(update);
  } else if (!has_table_) {
    finished_.emplace_back(std::move(done),
                           fail(ErrorCode::kUnavailable, "OPA has lost its tokens"));
    return;
  } else {
    for (const EventKey& key : update.gone) put(key, {});
    for (const feed::Event& event : update.events) put_event(event);
  }
  next_readout_ = std::move(update.feed.readout);
  next_done_.push_back(std::move(done));
}

// --- calls

void OpaTokens::on_status(TimeMs now_ms) {
  retry_at_ms_ = std::min(retry_at_ms_, now_ms);
  checks_instance_ = step_ == Step::kPatch;
}

std::optional<TimeMs> OpaTokens::next_deadline() const {
  if (is_calling_) return std::nullopt;
  const bool waits = step_ == Step::kTable && !has_table_;
  const bool is_idle =
      step_ == Step::kPatch && !batch_readout_ && !next_readout_ && !checks_instance_;
  return waits || is_idle ? std::nullopt : std::optional(retry_at_ms_);
}

std::optional<OpaTokensCall> OpaTokens::next(TimeMs now_ms) {
  const auto due_ms = next_deadline();
  if (!due_ms || *due_ms > now_ms) return std::nullopt;
  is_calling_ = true;
  switch (step_) {
    case Step::kProbeRead:
      return OpaTokensCall{
          .method = "GET", .path = fmt::format("{}/lane", kDocument), .has_secret = false};
    case Step::kProbeWrite:
      // An empty patch changes nothing where it is let in.
      return OpaTokensCall{.method = "PATCH",
                           .path = kDocument,
                           .content_type = "application/json-patch+json",
                           .body = "[]",
                           .has_secret = false};
    case Step::kProbeQuery:
      return OpaTokensCall{.method = "POST",
                           .path = "/v1/query",
                           .content_type = "application/json",
                           .body = R"({"query":"data.tokens.lane"})",
                           .has_secret = false};
    case Step::kTable:
    case Step::kFrame:
      step_ = Step::kFrame;
      return frame();
    case Step::kPatch:
      if (!batch_readout_ && next_readout_) begin_batch();
      if (batch_readout_) return patch();
      [[fallthrough]];
    case Step::kProbeSecret:
      break;
  }
  return OpaTokensCall{.method = "GET", .path = fmt::format("{}/lane/instance", kDocument)};
}

OpaTokensCall OpaTokens::frame() const {
  const json::value frame{{"lane", lane_value(*next_readout_, instance_, false)},
                          {"live", json::object()},
                          {"deleted", json::object()},
                          {"marks", json::object()},
                          {"lists", json::object()}};
  return {.method = "PUT",
          .path = kDocument,
          .content_type = "application/json",
          .body = json::serialize(frame)};
}

void OpaTokens::begin_batch() {
  batch_ = std::exchange(next_, {});
  batch_readout_ = std::exchange(next_readout_, {});
  batch_done_ = std::exchange(next_done_, {});
  order_.clear();
  for (const auto& [key, value] : batch_) order_.push_back(key);
  std::ranges::sort(order_, {}, [this](const EventKey& key) {
    return std::pair(urgency(key, batch_.at(key).json.empty()), key);
  });
  sent_ = in_flight_ = 0;
}

// The next operations, and with the last ones the lane: its revision says that all of it is there.
OpaTokensCall OpaTokens::patch() {
  Bytes body = "[";
  size_t operations = 0;
  in_flight_ = 0;
  const auto add = [&](std::string_view op, std::string_view path, std::string_view value) {
    if (operations++ > 0) body += ',';
    fmt::format_to(std::back_inserter(body), R"({{"op":"{}","path":"{}")", op, path);
    if (!value.empty()) fmt::format_to(std::back_inserter(body), R"(,"value":{})", value);
    body += '}';
  };
  while (sent_ + in_flight_ < order_.size() && operations + 1 < limits_.patch_operations_max &&
         body.size() < limits_.patch_bytes_max) {
    const EventKey& key = order_[sent_ + in_flight_++];
    const TokenValue& value = batch_.at(key);
    if (!value.json.empty())
      add("add", token_pointer(key), value.json);
    else if (held_.contains(key))  // one that it does not know would void the whole patch
      add("remove", token_pointer(key), {});
  }
  if (sent_ + in_flight_ == order_.size())
    add("add", "/lane", json::serialize(lane_value(*batch_readout_, instance_, true)));
  body += ']';
  return {.method = "PATCH",
          .path = kDocument,
          .content_type = "application/json-patch+json",
          .body = std::move(body)};
}

// --- answers

void OpaTokens::on_answer(unsigned status, ByteView body, TimeMs now_ms) {
  NOTP_ASSERT(is_calling_, "an answer follows a call");
  is_calling_ = false;
  if (status == 0)
    return lose(OpaTokensState::kWaiting, fmt::format("OPA does not answer: {}", body), now_ms);
  switch (step_) {
    case Step::kProbeRead:
    case Step::kProbeWrite:
    case Step::kProbeQuery:
      return on_probe(status, now_ms);
    case Step::kProbeSecret:
      return on_secret(status, body, now_ms);
    case Step::kTable:
    case Step::kFrame:
      if (!is_written(status, body, now_ms)) return;
      step_ = Step::kPatch;
      status_.state = OpaTokensState::kFilling;
      return;
    case Step::kPatch:
      if (!batch_readout_) return on_instance(status, body, now_ms);
      if (is_written(status, body, now_ms)) patch_done();
  }
}

void OpaTokens::on_probe(unsigned status, TimeMs now_ms) {
  if (status == 401 || status == 403) {
    step_ = static_cast<Step>(static_cast<uint8_t>(step_) + 1);
    return;
  }
  const std::string_view what = step_ == Step::kProbeRead    ? "read data.tokens"
                                : step_ == Step::kProbeWrite ? "write data.tokens"
                                                             : "ask it any query";
  lose(OpaTokensState::kUnprotected,
       fmt::format("OPA lets anybody {} (it answered {} without a secret), so no token is written: "
                   "{}",
                   what, status, kProtect),
       now_ms);
}

void OpaTokens::on_secret(unsigned status, ByteView body, TimeMs now_ms) {
  if (status != 200)
    return lose(OpaTokensState::kWaiting,
                fmt::format("OPA does not take the agent's secret ({}): it has no bundle of this "
                            "agent yet, or {}",
                            status, kProtect),
                now_ms);
  static_cast<void>(body);
  step_ = Step::kTable;
  is_lost_ = !has_table_;
}

// Another process, or another writer, has something else there.
void OpaTokens::on_instance(unsigned status, ByteView body, TimeMs now_ms) {
  checks_instance_ = false;
  const auto answer = status == 200 ? parse_json(body) : Result<json::value>(json::value());
  const json::object* const top = answer ? answer->if_object() : nullptr;
  const json::value* const result = top ? top->if_contains("result") : nullptr;
  if (result && result->is_string() && result->get_string() == instance_) return;
  lose_at_once(now_ms);
}

bool OpaTokens::is_written(unsigned status, ByteView body, TimeMs now_ms) {
  if (status / 100 == 2) return true;
  if (status == 404 && step_ == Step::kPatch) {
    lose_at_once(now_ms);
  } else {
    lose(status == 401 ? OpaTokensState::kWaiting : OpaTokensState::kRefused,
         fmt::format("OPA refuses tokens: {} {}", status,
                     printable(body.substr(0, kAnswerShownBytes))),
         now_ms);
  }
  return false;
}

void OpaTokens::patch_done() {
  for (size_t i = sent_; i < sent_ + in_flight_; ++i) {
    const auto change = batch_.find(order_[i]);
    if (change->second.json.empty())
      held_.erase(change->first);
    else
      held_[change->first] = change->second.cost;
    batch_.erase(change);
  }
  sent_ += in_flight_;
  in_flight_ = 0;
  if (sent_ < order_.size()) return;
  order_.clear();
  sent_ = 0;
  batch_readout_.reset();
  for (Done& done : std::exchange(batch_done_, {}))
    finished_.emplace_back(std::move(done), Result<void>());
  status_.state = OpaTokensState::kReady;
  status_.finding.clear();
  retry_ms_ = 0;
  find_room();
}

// Tokens that were refused may fit now.
void OpaTokens::find_room() {
  const auto tokens =
      static_cast<size_t>(std::ranges::count(refused_, EventKind::kToken, &EventKey::kind));
  is_lost_ = tokens > 0 && status_.tokens + tokens <= limits_.tokens_max;
}

void OpaTokens::lose_at_once(TimeMs now_ms) {
  const bool is_first = retry_ms_ == 0;
  lose(OpaTokensState::kWaiting, "OPA was started again", now_ms);
  if (is_first) retry_at_ms_ = now_ms;
}

void OpaTokens::lose(OpaTokensState state, std::string finding, TimeMs now_ms) {
  const Error error{ErrorCode::kUnavailable, finding, {}};
  for (auto* done : {&batch_done_, &next_done_})
    for (Done& each : std::exchange(*done, {}))
      finished_.emplace_back(std::move(each), std::unexpected(error));
  held_.clear();
  next_.clear();
  batch_.clear();
  order_.clear();
  refused_.clear();
  sent_ = in_flight_ = 0;
  next_readout_.reset();
  batch_readout_.reset();
  has_table_ = checks_instance_ = is_lost_ = false;
  step_ = Step::kProbeRead;
  retry_ms_ = retry_ms_ == 0 ? limits_.retry_min_ms : std::min(2 * retry_ms_, limits_.retry_max_ms);
  retry_at_ms_ = now_ms + retry_ms_;
  status_ = {.state = state, .finding = std::move(finding)};
}

// --- what the caller takes

std::vector<std::pair<OpaTokens::Done, Result<void>>> OpaTokens::take_finished() {
  return std::exchange(finished_, {});
}

bool OpaTokens::take_lost() { return std::exchange(is_lost_, false); }

OpaTokensStatus OpaTokens::status() const {
  OpaTokensStatus out = status_;
  for (const EventKey& key : refused_) ++(key.kind == EventKind::kList ? out.lists : out.refused);
  if (out.finding.empty() && !refused_.empty())
    out.finding = fmt::format(
        "{} tokens and {} status lists are more than an OPA gets (pdp.opa.tokens_max, {}): lookups "
        "of these tokens are undefined, and what these lists say is revoked. Use the embedded PDP, "
        "or a lane with fewer tokens",
        out.refused, out.lists, limits_.tokens_max);
  return out;
}

}  // namespace notp::pdp

#include "notp-client/pdp/opa_token_changes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace notp::pdp {

using feed::EventKey;
using feed::EventKind;

namespace {

// What a token loses comes before what it gains: between two patches nothing is served that the
// lane has revoked.
int urgency(const EventKey& key, bool is_gone) {
  if (key.kind == EventKind::kToken) return is_gone ? 0 : 4;
  if (is_gone) return 5;
  return key.kind == EventKind::kMark ? 1 : key.kind == EventKind::kDeleted ? 2 : 3;
}

}  // namespace

// --- what is wanted

void OpaTokenChanges::put(lane::TableUpdate update, Done done) {
  if (update.feed.is_whole) {
    put_whole(update);
  } else {
    for (const EventKey& key : update.gone) put_value(key, {});
    for (const feed::Event& event : update.events) put_event(event);
  }
  next_readout_ = std::move(update.feed.readout);
  next_done_.push_back(std::move(done));
}

// All that OPA has, or is about to get, and the whole table lacks, goes.
void OpaTokenChanges::put_whole(const lane::TableUpdate& update) {
  std::vector<EventKey> all;
  for (const auto& [key, cost] : held_) all.push_back(key);
  for (const auto& [key, value] : batch_) all.push_back(key);
  for (const auto& [key, value] : next_) all.push_back(key);
  for (const EventKey& key : all) put_value(key, {});
  refused_.clear();
  lane::for_each(update, [this](const feed::Event& event) {
    put_event(event);
    return true;
  });
}

void OpaTokenChanges::put_event(const feed::Event& event) {
  const EventKey key = feed::key_of(event);
  if (key.kind == EventKind::kDeleted) put_value({EventKind::kToken, key.id}, {});
  if (key.kind == EventKind::kToken) put_value({EventKind::kDeleted, key.id}, {});
  if (auto value = token_value(event))
    put_value(key, *std::move(value));
  else
    refuse(key);
}

void OpaTokenChanges::put_value(const EventKey& key, TokenValue value) {
  refused_.erase(key);
  const bool is_gone = value.json.empty();
  if (is_gone && !upcoming(key) && !held_.contains(key)) return;
  const size_t before = cost_after(key);
  if (value.cost > before && tokens_ - before + value.cost > limits_.tokens_max) return refuse(key);
  tokens_ = tokens_ - before + value.cost;
  next_[key] = std::move(value);
}

// What OPA has must not stay: a status that an old list calls valid may be revoked.
void OpaTokenChanges::refuse(const EventKey& key) {
  put_value(key, {});
  refused_.insert(key);
}

const TokenValue* OpaTokenChanges::upcoming(const EventKey& key) const {
  if (const auto found = next_.find(key); found != next_.end()) return &found->second;
  const auto found = batch_.find(key);
  return found != batch_.end() ? &found->second : nullptr;
}

// What a key counts once everything is written.
size_t OpaTokenChanges::cost_after(const EventKey& key) const {
  if (const TokenValue* const value = upcoming(key)) return value->cost;
  const auto found = held_.find(key);
  return found != held_.end() ? found->second : 0;
}

std::vector<OpaTokenChanges::Done> OpaTokenChanges::clear() {
  std::vector<Done> open = std::exchange(batch_done_, {});
  for (Done& done : next_done_) open.push_back(std::move(done));
  *this = OpaTokenChanges(limits_);
  return open;
}

size_t OpaTokenChanges::refused_tokens() const {
  return static_cast<size_t>(std::ranges::count(refused_, EventKind::kToken, &EventKey::kind));
}

size_t OpaTokenChanges::refused_lists() const { return refused_.size() - refused_tokens(); }

// --- how it is written

void OpaTokenChanges::begin_batch() {
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

bool OpaTokenChanges::has_patch() {
  if (!batch_readout_ && next_readout_) begin_batch();
  return batch_readout_.has_value();
}

Bytes OpaTokenChanges::patch() {
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
    else if (held_.contains(key))  // one that OPA does not have would void the whole patch
      add("remove", token_pointer(key), {});
  }
  if (sent_ + in_flight_ == order_.size())
    add("add", "/lane", json::serialize(lane_value(*batch_readout_, true)));
  body += ']';
  return body;
}

std::optional<std::vector<OpaTokenChanges::Done>> OpaTokenChanges::patch_done() {
  for (size_t i = sent_; i < sent_ + in_flight_; ++i) {
    const auto change = batch_.find(order_[i]);
    if (change->second.json.empty())
      held_.erase(change->first);
    else
      held_[change->first] = change->second.cost;
    batch_.erase(change);
  }
  sent_ += std::exchange(in_flight_, 0);
  if (sent_ < order_.size()) return std::nullopt;
  order_.clear();
  sent_ = 0;
  batch_readout_.reset();
  return std::exchange(batch_done_, {});
}

}  // namespace notp::pdp

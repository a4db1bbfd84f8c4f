#include "notp-client/opa_log/counts.hpp"

#include <algorithm>
#include <charconv>

namespace notp::opa_log {
namespace {

constexpr std::string_view kCounter = "http_request_duration_seconds_count{";

// The value of a label; empty when there is none.
std::string_view label(std::string_view labels, std::string_view name) {
  for (size_t at = 0; (at = labels.find(name, at)) != std::string_view::npos; at += name.size()) {
    const bool begins = at == 0 || labels[at - 1] == ',';
    std::string_view rest = labels.substr(at + name.size());
    if (!begins || !rest.starts_with("=\"")) continue;
    rest.remove_prefix(2);
    return rest.substr(0, rest.find('"'));
  }
  return {};
}

bool is_logged(std::string_view labels) {
  const std::string_view handler = label(labels, "handler"), method = label(labels, "method"),
                         code = label(labels, "code");
  const bool is_plain = handler == "v0/data" || handler == "index";
  const bool decides =
      (is_plain && method == "post") ||
      ((handler == "v1/data" || handler == "v1/query") && (method == "post" || method == "get"));
  // An undefined document is 404 for a plain request.
  return decides && (code == "200" || code == "500" || (is_plain && code == "404"));
}

}  // namespace

std::optional<uint64_t> answered_decisions(std::string_view metrics) {
  if (!metrics.contains("go_info{") && !metrics.contains("# TYPE")) return std::nullopt;
  uint64_t sum = 0;
  while (!metrics.empty()) {
    std::string_view line = metrics.substr(0, metrics.find('\n'));
    metrics.remove_prefix(std::min(line.size() + 1, metrics.size()));
    if (!line.starts_with(kCounter)) continue;
    line.remove_prefix(kCounter.size());
    const size_t end = line.find("} ");
    if (end == std::string_view::npos || !is_logged(line.substr(0, end))) continue;
    const std::string_view number = line.substr(end + 2);
    double value = 0;
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || !(value >= 0 && value < 9e15)) return std::nullopt;
    sum += static_cast<uint64_t>(value);
  }
  return sum;
}

void SourceCounts::restore(const std::string& instance, Instance state) {
  instances_[instance] = std::move(state);
}

void SourceCounts::recorded(const std::string& instance, uint64_t events) {
  if (instances_.size() >= kCountedInstancesMax && !instances_.contains(instance)) {
    const auto unpolled =
        std::ranges::find_if(instances_, [](const auto& entry) { return !entry.second.answered; });
    if (unpolled != instances_.end()) instances_.erase(unpolled);
  }
  instances_[instance].recorded += events;
}

void SourceCounts::polled(const std::string& instance, uint64_t answered, TimeMs now_ms) {
  for (auto& [name, state] : instances_) {
    if (name == instance || !state.answered) continue;
    Poll& poll = open_[name];
    if (!poll.is_last) poll = {*state.answered, now_ms, true};
  }
  instances_[instance].answered = answered;
  // A poll that waits is not put off by the next one.
  open_.try_emplace(instance, Poll{answered, now_ms, false});
}

std::vector<SourceCounts::Missing> SourceCounts::settle(TimeMs now_ms) {
  std::vector<Missing> missing;
  if (now_ms - delayed_ms_ < kCountSettleMs) return missing;
  for (auto open = open_.begin(); open != open_.end();) {
    const auto& [name, poll] = *open;
    if (now_ms - poll.at_ms < kCountSettleMs) {
      ++open;
      continue;
    }
    Instance& state = instances_[name];
    uint64_t known = state.recorded + state.reported;
    if (const uint64_t fill =
            std::min(unattributed_, poll.answered - std::min(known, poll.answered))) {
      unattributed_ -= fill;
      state.recorded += fill;
      known += fill;
    }
    if (poll.answered > known) {
      missing.push_back({name, poll.answered - known, poll.is_last});
      state.reported += poll.answered - known;
    }
    if (poll.is_last) instances_.erase(name);
    open = open_.erase(open);
  }
  return missing;
}

}  // namespace notp::opa_log

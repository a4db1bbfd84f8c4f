#include "notp-client/pdp/opa_feed.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"

namespace notp::pdp {
namespace {

constexpr size_t kInstancesMax = 64;
constexpr size_t kServedMax = 16;
constexpr size_t kRejectedMax = 64;

std::string_view text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

const json::object* object_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value ? value->if_object() : nullptr;
}

// Returns the first etag: the header may also list older bundles, for servers that send
// differences; the first one is what OPA has.
std::string first_etag(std::string_view if_none_match) {
  const std::string_view first = if_none_match.substr(0, if_none_match.find(','));
  const size_t begin = first.find_first_not_of(' ');
  return begin == std::string_view::npos
             ? ""
             : std::string(first.substr(begin, first.find_last_not_of(' ') - begin + 1));
}

// Whether the download failed, rather than its content. Then nothing is known about the bundle.
bool is_transport(const json::object& bundle) {
  const std::string_view message = text_at(bundle, "message");
  const json::value* code = bundle.if_contains("http_code");
  const bool has_http_code = code != nullptr && !(code->is_string() && code->get_string().empty());
  return has_http_code || message.starts_with("request failed") ||
         message.contains("unexpected EOF") || message.contains("connection reset");
}

}  // namespace

std::optional<PdpOutcome> OpaFeed::offer(OpaBundlePtr bundle) {
  offered_ = std::move(bundle);
  if (const auto refused = rejected_.find(offered_->etag); refused != rejected_.end())
    return PdpOutcome{offered_->active_set, refused->second};
  for (const auto& [name, instance] : instances_)
    if (instance.active_etag == offered_->etag)
      return PdpOutcome{offered_->active_set, std::nullopt};
  return std::nullopt;
}

OpaBundlePtr OpaFeed::to_serve() const {
  if (!offered_ || !rejected_.contains(offered_->etag)) return offered_;
  // Serving nothing new is better than serving decisions that are denied now.
  return good_ && !gives_denied(*good_->active_set, *offered_->active_set) ? good_ : nullptr;
}

OpaFeed::Instance& OpaFeed::instance_of(const std::string& name) {
  if (instances_.size() >= kInstancesMax && !instances_.contains(name)) instances_.clear();
  return instances_[name];
}

std::string OpaFeed::instance_by_label(const json::value& status) const {
  const json::object* top = status.if_object();
  const json::object* labels = top ? object_at(*top, "labels") : nullptr;
  const std::string_view label = labels ? text_at(*labels, "id") : "";
  for (const auto& [name, instance] : instances_)
    if (instance.label == label) return name;
  return instances_.size() == 1 ? instances_.begin()->first : "";
}

OpaBundlePtr OpaFeed::forget_up_to(Instance& instance, std::string_view etag) {
  for (size_t i = instance.served.size(); i-- > 0;) {
    if (instance.served[i]->etag != etag) continue;
    OpaBundlePtr found = instance.served[i];
    instance.served.erase(instance.served.begin(),
                          instance.served.begin() + static_cast<ptrdiff_t>(i) + 1);
    return found;
  }
  return nullptr;
}

OpaFeed::Answer OpaFeed::on_request(const std::string& name, std::string_view if_none_match) {
  Instance& instance = instance_of(name);
  const std::string held = first_etag(if_none_match);
  // OPA has this bundle, so a later error is about a later one. Only a status makes it the active
  // one: a request's header is not proof of activation.
  if (OpaBundlePtr activated = forget_up_to(instance, held)) instance.holds = std::move(activated);
  const OpaBundlePtr bundle = to_serve();
  if (!bundle || bundle->etag == held) {
    const bool unheard = bundle && instance.active_etag != held && instance.nudged_etag != held;
    if (unheard) instance.nudged_etag = held;
    return {nullptr, held, unheard};
  }
  // One entry for each answer: OPA asks again at once when a bundle failed, and reports a failure
  // of each attempt. With one entry for both, the second report would hit the next bundle.
  instance.served.push_back(bundle);
  if (instance.served.size() > kServedMax) instance.served.pop_front();
  return {bundle, held, false};
}

OpaBundlePtr OpaFeed::known(const Instance& instance, std::string_view revision) const {
  if (revision.empty()) return nullptr;
  // A bundle that differs only in its times has the previous one's revision. OPA's next request
  // shows which of the two it has; until then its status counts for the one that it is known to
  // have.
  if (instance.holds && instance.holds->revision == revision &&
      !rejected_.contains(instance.holds->etag))
    return instance.holds;
  for (const OpaBundlePtr& bundle : instance.served)
    if (bundle->revision == revision) return bundle;
  for (const OpaBundlePtr& bundle : {offered_, good_})
    if (bundle && bundle->revision == revision && !rejected_.contains(bundle->etag)) return bundle;
  return nullptr;
}

std::vector<PdpOutcome> OpaFeed::on_status(const std::string& name, const json::value& status) {
  std::vector<PdpOutcome> outcomes;
  const json::object* top = status.if_object();
  if (top == nullptr) return outcomes;
  Instance& instance = instance_of(name);
  if (const json::object* labels = object_at(*top, "labels")) {
    const std::string label(text_at(*labels, "id"));
    if (!instance.label.empty() && label != instance.label) {
      // Another process. Its served bundles stay: its requests may have arrived before this status.
      instance.active_etag.clear();
      instance.holds = nullptr;
      instance.judged_request.clear();
    }
    instance.label = label;
  }
  const json::object* bundles = object_at(*top, "bundles");
  const json::object* bundle = bundles ? object_at(*bundles, "notp") : nullptr;
  if (bundle == nullptr) return outcomes;
  // An error only shows that the active revision did not change.
  if (!text_at(*bundle, "code").empty()) on_failure(instance, *bundle, outcomes);
  if (const OpaBundlePtr active = known(instance, text_at(*bundle, "active_revision")))
    on_active(instance, active, outcomes);
  return outcomes;
}

void OpaFeed::on_active(Instance& instance, const OpaBundlePtr& bundle,
                        std::vector<PdpOutcome>& outcomes) {
  forget_up_to(instance, bundle->etag);
  instance.holds = bundle;
  good_ = bundle;
  if (instance.active_etag == bundle->etag) return;
  instance.active_etag = bundle->etag;
  outcomes.push_back({bundle->active_set, std::nullopt});
}

void OpaFeed::on_failure(Instance& instance, const json::object& bundle,
                         std::vector<PdpOutcome>& outcomes) {
  const std::string request(text_at(bundle, "last_request"));
  if (is_transport(bundle) || instance.served.empty() || request == instance.judged_request) return;
  instance.judged_request = request;
  const OpaBundlePtr refused = instance.served.front();
  instance.served.pop_front();
  reject(refused, {ErrorCode::kPdpRejected, opa_errors_text(bundle), {}}, outcomes);
}

void OpaFeed::reject(const OpaBundlePtr& bundle, Error error, std::vector<PdpOutcome>& outcomes) {
  if (!rejected_.try_emplace(bundle->etag, error).second) return;
  rejected_order_.push_back(bundle->etag);
  if (rejected_order_.size() > kRejectedMax) {
    rejected_.erase(rejected_order_.front());
    rejected_order_.pop_front();
  }
  if (good_ == bundle) good_ = nullptr;
  outcomes.push_back({bundle->active_set, std::move(error)});
}

std::string opa_errors_text(const json::object& bundle_status) {
  std::string text;
  const json::value* errors = bundle_status.if_contains("errors");
  if (errors && errors->is_array()) {
    for (const json::value& item : errors->get_array()) {
      const json::object* error = item.if_object();
      if (error == nullptr || text.size() > limits::kErrorTextBytesMax) continue;
      if (!text.empty()) text.push_back('\n');
      if (const json::object* place = object_at(*error, "location")) {
        const auto number = [&](std::string_view name) {
          const json::value* value = place->if_contains(name);
          return value && value->is_int64() ? value->get_int64() : 0;
        };
        fmt::format_to(std::back_inserter(text), "{}:{}:{}: ", text_at(*place, "file"),
                       number("row"), number("col"));
      }
      fmt::format_to(std::back_inserter(text), "{}: {}", text_at(*error, "code"),
                     text_at(*error, "message"));
    }
  }
  if (text.empty()) text = text_at(bundle_status, "message");
  text.resize(std::min(text.size(), limits::kErrorTextBytesMax));
  return text;
}

}  // namespace notp::pdp

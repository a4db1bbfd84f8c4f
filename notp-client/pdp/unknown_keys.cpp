#include "notp-client/pdp/unknown_keys.hpp"

#include <boost/asio/post.hpp>
#include <chrono>

#include "common/json/json.hpp"
#include "common/json/json_members.hpp"
#include "protocol/wire/source_limits.hpp"

namespace notp::pdp {
namespace {

constexpr std::string_view kName = "unknown_keys";

// nullptr: there is none that may be sent.
const json::string* text_of(const json::object& pair, std::string_view name, size_t bytes_max) {
  const json::value* const value = pair.if_contains(name);
  const json::string* const text = value ? value->if_string() : nullptr;
  return text && !text->empty() && text->size() <= bytes_max ? text : nullptr;
}

std::vector<wire::UnknownKey> keys_of(ByteView list) {
  std::vector<wire::UnknownKey> keys;
  const auto parsed = parse_json(list);
  const json::array* const rows = parsed ? parsed->if_array() : nullptr;
  if (!rows) return keys;
  for (const json::value& row : *rows) {
    const json::object* const pair = row.if_object();
    if (!pair) continue;
    const json::string* const issuer = text_of(*pair, "issuer", limits::kIssuerBytesMax);
    const json::string* const kid = text_of(*pair, "kid", limits::kKidBytesMax);
    if (issuer && kid) keys.push_back({std::string(*issuer), std::string(*kid)});
  }
  return keys;
}

}  // namespace

std::vector<wire::UnknownKey> take_unknown_keys(Bytes& extras) {
  if (!extras.contains(kName)) return {};
  const auto members = json_members(extras);
  const auto list = members ? json_member(*members, kName) : std::nullopt;
  if (!list) return {};
  std::vector<wire::UnknownKey> keys = keys_of(*list);
  Bytes rest;
  for (const JsonMember& member : *members) {
    if (member.name == kName) continue;
    rest += rest.empty() ? "{\"" : ",\"";
    rest.append(member.name).append("\":").append(member.value);
  }
  if (!rest.empty()) rest.push_back('}');
  extras = std::move(rest);
  return keys;
}

UnknownKeyQueue::UnknownKeyQueue(boost::asio::any_io_executor executor, UnknownKeyReport report)
    : executor_(std::move(executor)), report_(std::move(report)), timer_(executor_) {}

void UnknownKeyQueue::add(std::vector<wire::UnknownKey> keys) {
  const MutexLock lock(mutex_);
  for (wire::UnknownKey& key : keys) {
    if (const auto found = waiting_.find(key.issuer); found != waiting_.end())
      found->second = std::move(key.kid);
    else if (waiting_.size() < limits::kUnknownKeysWaitingMax)
      waiting_.emplace(std::move(key.issuer), std::move(key.kid));
  }
  if (waiting_.empty() || std::exchange(is_passing_, true)) return;
  boost::asio::post(executor_, [self = shared_from_this()] { self->pass_on(); });
}

void UnknownKeyQueue::close() {
  report_ = nullptr;
  timer_.cancel();
}

void UnknownKeyQueue::pass_on() {
  std::map<std::string, std::string> taken;
  {
    const MutexLock lock(mutex_);
    taken.swap(waiting_);
    if (taken.empty()) is_passing_ = false;
  }
  if (taken.empty() || !report_) return;
  std::vector<wire::UnknownKey> keys;
  for (auto& [issuer, kid] : taken) keys.push_back({issuer, std::move(kid)});
  report_(keys);
  timer_.expires_after(std::chrono::milliseconds(limits::kUnknownKeysTakenMs));
  timer_.async_wait([self = weak_from_this()](boost::system::error_code error) {
    if (const auto queue = self.lock(); queue && !error) queue->pass_on();
  });
}

}  // namespace notp::pdp

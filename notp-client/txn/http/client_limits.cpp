#include "notp-client/txn/http/client_limits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "notp-client/txn/http/http_limits.hpp"

namespace notp::txn {
namespace {

constexpr double kMsPerSecond = 1'000;

std::unexpected<TokenError> wait(Refusal refusal, std::string description, TimeMs wait_ms) {
  TokenError error = token_refused(refusal, std::move(description)).error();
  error.retry_after_ms = wait_ms;
  return std::unexpected(std::move(error));
}

}  // namespace

TokenResult<ClientLimits::Place> ClientLimits::enter(const std::string& client, TimeMs now_ms) {
  Clients& all = *clients_;
  const MutexLock lock(all.mutex);
  if (all.known.size() >= limits::kTxnClientsMax && !all.known.contains(client)) all.forget();
  if (all.known.size() >= limits::kTxnClientsMax && !all.known.contains(client))
    return wait(Refusal::kOverloaded, "too many clients ask at once; ask again later",
                limits::kTxnUnavailableRetryMs);
  const auto most = static_cast<double>(per_second_);
  Client& known =
      all.known.try_emplace(client, Client{.left = most, .as_of_ms = now_ms}).first->second;
  const auto passed_ms = static_cast<double>(std::max<TimeMs>(0, now_ms - known.as_of_ms));
  known.left = std::min(most, known.left + passed_ms / kMsPerSecond * most);
  known.as_of_ms = now_ms;
  if (known.at_once >= at_once_)
    return wait(
        Refusal::kBusy,
        fmt::format("{} requests of this client are under way, as many as it may have", at_once_),
        limits::kTxnBusyRetryMs);
  if (known.left < 1)
    return wait(Refusal::kBusy,
                fmt::format("this client may ask {} times in a second", per_second_),
                static_cast<TimeMs>(std::ceil((1 - known.left) / most * kMsPerSecond)));
  known.left -= 1;
  ++known.at_once;
  return Place(clients_, client);
}

void ClientLimits::Clients::leave(const std::string& client) {
  const MutexLock lock(mutex);
  const auto found = known.find(client);
  if (found != known.end() && found->second.at_once > 0) --found->second.at_once;
}

void ClientLimits::Clients::forget() {
  std::erase_if(known, [](const auto& each) { return each.second.at_once == 0; });
}

}  // namespace notp::txn

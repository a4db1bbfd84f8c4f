#include "notp-client/txn/http/introspector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/log.hpp"
#include "notp-client/txn/http/http_limits.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {

namespace asio = boost::asio;

namespace {

constexpr size_t kSharesOfClients = 4;

std::unexpected<TokenError> refused(Refusal refusal, std::string description, TimeMs retry_ms) {
  TokenError error = token_refused(refusal, std::move(description)).error();
  error.retry_after_ms = retry_ms;
  return std::unexpected(std::move(error));
}

}  // namespace

// A question under way, for the lifetime of this object.
class Introspector::Place {
 public:
  static TokenResult<Place> enter(const Introspector& owner, const std::string& client) {
    const size_t at_once = owner.config_.at_once;
    UnderWay& all = *owner.under_way_;
    const MutexLock lock(all.mutex);
    if (all.count >= at_once)
      return refused(Refusal::kIntrospectionBusy,
                     fmt::format("{} questions to the issuer of the subject token are under way, "
                                 "as many as there may be",
                                 at_once),
                     limits::kTxnBusyRetryMs);
    const size_t share = std::max<size_t>(1, at_once / kSharesOfClients);
    if (const auto found = all.of_clients.find(client);
        found != all.of_clients.end() && found->second >= share)
      return refused(Refusal::kBusy,
                     fmt::format("{} questions of this client to the issuer of the subject token "
                                 "are under way, as many as it may have",
                                 share),
                     limits::kTxnBusyRetryMs);
    ++all.count;
    ++all.of_clients[client];
    return Place(owner.under_way_, client);
  }
  Place(Place&& other) noexcept = default;
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (!all_) return;
    const MutexLock lock(all_->mutex);
    --all_->count;
    const auto found = all_->of_clients.find(client_);
    if (--found->second == 0) all_->of_clients.erase(found);
  }

 private:
  Place(std::shared_ptr<UnderWay> all, std::string client)
      : all_(std::move(all)), client_(std::move(client)) {}

  std::shared_ptr<UnderWay> all_;
  std::string client_;
};

Result<std::unique_ptr<Introspector>> Introspector::open(const IntrospectionConfig& config,
                                                         const Environment& environment) {
  std::unique_ptr<Introspector> out(new Introspector(config, environment));
  auto access = out->read_files();
  if (!access) return std::unexpected(std::move(access).error().in("introspection"));
  out->access_.set(*std::move(access));
  return out;
}

Result<std::shared_ptr<const Introspector::Access>> Introspector::read_files() const {
  http::ClientOptions options{.tls = {.authorities = config_.ca,
                                      .certificate = config_.auth.certificate,
                                      .private_key = config_.auth.private_key,
                                      .pins = config_.pins},
                              .proxy = config_.proxy,
                              .environment = environment_};
  NOTP_ASSIGN(http::Client client, http::Client::open(std::move(options)));
  NOTP_ASSIGN(oauth::Credentials credentials, oauth::Credentials::read(config_.auth));
  return std::make_shared<const Access>(std::move(client), std::move(credentials));
}

std::vector<std::filesystem::path> Introspector::files() const {
  std::vector<std::filesystem::path> out{config_.ca, config_.auth.certificate,
                                         config_.auth.private_key, config_.auth.secret_file,
                                         config_.auth.key_file};
  std::erase(out, std::filesystem::path());
  return out;
}

void Introspector::look() {
  auto access = read_files();
  if (access)
    access_.set(*std::move(access));
  else
    log::write(log::Level::kError, "txn_introspection_failed", access.error(),
               {{"issuer", config_.issuer}});
}

asio::awaitable<TokenResult<Introspected>> Introspector::ask(IntrospectionCall call) {
  if (auto known = kept(call.token_id, read_clock().boot_ms)) co_return *std::move(known);
  const auto place = Place::enter(*this, call.client);
  if (!place) co_return std::unexpected(place.error());
  const auto response = co_await post(call);
  if (!response) co_return std::unexpected(response.error());
  auto answer = read_introspection(response->status, response->content());
  if (answer) {
    keep(call.token_id, *answer, read_clock().boot_ms);
    co_return answer;
  }
  answer.error().retry_after_ms = limits::kTxnUnavailableRetryMs;
  unanswered({ErrorCode::kMessage, answer.error().description, {}});
  co_return answer;
}

// RFC 7662 §2.1.
asio::awaitable<TokenResult<http::Response>> Introspector::post(const IntrospectionCall& call) {
  const auto access = access_.get();
  auto request = oauth::authenticated_form(
      config_.auth, config_.server(), access->credentials, config_.url,
      {{"token", call.token}, {"token_type_hint", "access_token"}}, read_clock().wall_ms, random_);
  if (!request) co_return unanswered(request.error());
  request->deadline_ms = config_.timeout_ms;
  request->answer_bytes_max = limits::kTxnIntrospectionBytesMax;
  auto response = co_await access->client.call(*std::move(request));
  if (!response) co_return unanswered(response.error());
  co_return *std::move(response);
}

// What went wrong is for who runs the service: a client is told that it went wrong. Not for each
// request, of which there may be many.
TokenResult<http::Response> Introspector::unanswered(const Error& error) {
  bool is_logged = false;
  {
    const MutexLock lock(mutex_);
    const TimeMs now_ms = read_clock().boot_ms;
    is_logged = logged_ms_ == kNever || now_ms - logged_ms_ >= limits::kTxnIntrospectionLogMs;
    if (is_logged) logged_ms_ = now_ms;
  }
  if (is_logged)
    log::write(log::Level::kError, "txn_introspection_failed", error, {{"issuer", config_.issuer}});
  return refused(Refusal::kIntrospectionUnavailable,
                 error.code == ErrorCode::kTimeout
                     ? fmt::format("the introspection endpoint of the issuer did not answer within "
                                   "{} ms; try again later",
                                   config_.timeout_ms)
                     : "the introspection endpoint of the issuer cannot be asked; try again later",
                 limits::kTxnUnavailableRetryMs);
}

std::optional<Introspected> Introspector::kept(const std::string& token_id, TimeMs now_ms) {
  if (config_.cache_ms == 0) return std::nullopt;
  const MutexLock lock(mutex_);
  forget(now_ms);
  const auto found = kept_.find(token_id);
  if (found == kept_.end()) return std::nullopt;
  return found->second.answer;
}

// All are kept for the same time: the oldest ends first.
void Introspector::keep(const std::string& token_id, const Introspected& answer, TimeMs now_ms) {
  if (config_.cache_ms == 0) return;
  const MutexLock lock(mutex_);
  forget(now_ms);
  const TimeMs until_ms = now_ms + config_.cache_ms;
  kept_.insert_or_assign(token_id, Kept{answer, until_ms});
  order_.emplace_back(until_ms, token_id);
}

void Introspector::forget(TimeMs now_ms) {
  while (!order_.empty() &&
         (order_.front().first <= now_ms || order_.size() >= limits::kTxnIntrospectedMax)) {
    const auto& [until_ms, token_id] = order_.front();
    // One that was asked again meanwhile is kept longer.
    const auto found = kept_.find(token_id);
    if (found != kept_.end() && found->second.until_ms == until_ms) kept_.erase(found);
    order_.pop_front();
  }
}

}  // namespace notp::txn

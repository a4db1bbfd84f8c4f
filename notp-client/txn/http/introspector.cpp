#include "notp-client/txn/http/introspector.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

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

// The body of a request holds the token.
struct CleansedCall {
  explicit CleansedCall(http::Call made) : call(std::move(made)) {}
  ~CleansedCall() { OPENSSL_cleanse(call.body.data(), call.body.size()); }
  CleansedCall(const CleansedCall&) = delete;
  CleansedCall& operator=(const CleansedCall&) = delete;

  http::Call call;
};

}  // namespace

// A question under way, for the lifetime of this object.
class Introspector::Place {
 public:
  static TokenResult<Place> enter(Introspector& owner, const std::string& client) {
    const MutexLock lock(owner.mutex_);
    if (owner.under_way_ >= owner.config_.at_once)
      return refused(Refusal::kIntrospectionBusy,
                     fmt::format("{} questions to the issuer of the subject token are under way, "
                                 "as many as there may be",
                                 owner.config_.at_once),
                     limits::kTxnBusyRetryMs);
    const size_t share = std::max<size_t>(1, owner.config_.at_once / kSharesOfClients);
    if (const auto found = owner.of_clients_.find(client);
        found != owner.of_clients_.end() && found->second >= share)
      return refused(Refusal::kBusy,
                     fmt::format("{} questions of this client to the issuer of the subject token "
                                 "are under way, as many as it may have",
                                 share),
                     limits::kTxnBusyRetryMs);
    ++owner.under_way_;
    ++owner.of_clients_[client];
    return Place(&owner, client);
  }
  Place(Place&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), client_(std::move(other.client_)) {}
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (owner_ == nullptr) return;
    const MutexLock lock(owner_->mutex_);
    --owner_->under_way_;
    const auto found = owner_->of_clients_.find(client_);
    if (--found->second == 0) owner_->of_clients_.erase(found);
  }

 private:
  Place(Introspector* owner, std::string client) : owner_(owner), client_(std::move(client)) {}

  Introspector* owner_;
  std::string client_;
};

Introspector::Introspector(IntrospectionConfig config, Environment environment, http::Client client)
    : config_(std::move(config)),
      environment_(std::move(environment)),
      client_(std::make_shared<const http::Client>(std::move(client))) {}

Result<std::unique_ptr<Introspector>> Introspector::open(const IntrospectionConfig& config,
                                                         const Environment& environment) {
  std::unique_ptr<Introspector> out(new Introspector(config, environment, http::Client()));
  auto client = out->connect();
  if (!client) return std::unexpected(std::move(client).error().in("introspection"));
  out->client_.set(std::make_shared<const http::Client>(*std::move(client)));
  // A secret that cannot be read is found now, and not by the first request.
  if (auto read = oauth::Credentials::read(config.auth); !read)
    return std::unexpected(std::move(read).error().in("introspection"));
  return out;
}

Result<http::Client> Introspector::connect() const {
  http::ClientOptions options{.tls = {.authorities = config_.ca,
                                      .certificate = config_.auth.certificate,
                                      .private_key = config_.auth.private_key,
                                      .pins = config_.pins},
                              .proxy = config_.proxy,
                              .environment = environment_};
  return http::Client::open(std::move(options));
}

std::vector<std::filesystem::path> Introspector::files() const {
  std::vector<std::filesystem::path> out{config_.ca, config_.auth.certificate,
                                         config_.auth.private_key};
  std::erase(out, std::filesystem::path());
  return out;
}

void Introspector::look() {
  auto client = connect();
  if (client)
    client_.set(std::make_shared<const http::Client>(*std::move(client)));
  else
    log::write(log::Level::kError, "txn_introspection_failed", client.error(),
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
  const auto credentials = oauth::Credentials::read(config_.auth);
  if (!credentials) co_return unanswered(credentials.error());
  Result<http::Call> made = fail(ErrorCode::kInternal, "not made");
  {
    const MutexLock lock(mutex_);
    made = oauth::authenticated_form(config_.auth, config_.server(), *credentials, config_.url,
                                     {{"token", call.token}, {"token_type_hint", "access_token"}},
                                     read_clock().wall_ms, random_);
  }
  if (!made) co_return unanswered(made.error());
  CleansedCall request(*std::move(made));
  request.call.deadline_ms = config_.timeout_ms;
  request.call.answer_bytes_max = limits::kTxnIntrospectionBytesMax;
  const auto client = client_.get();
  auto response = co_await client->call(request.call);
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

#include "notp-server/lane_inputs/introspector.hpp"

#include <openssl/crypto.h>

#include <utility>

#include "notp-server/lane_inputs/introspection.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"

namespace notp::lane_inputs {
namespace {

namespace asio = boost::asio;

// The body of a request holds the token.
struct CleansedCall {
  explicit CleansedCall(http::Call made) : call(std::move(made)) {}
  ~CleansedCall() { OPENSSL_cleanse(call.body.data(), call.body.size()); }
  CleansedCall(const CleansedCall&) = delete;
  CleansedCall& operator=(const CleansedCall&) = delete;

  http::Call call;
};

}  // namespace

Result<IntrospectionConfig> load_introspection(const config::Section& section) {
  IntrospectionConfig out;
  out.endpoint = section.text("endpoint");
  out.issuer = section.text("issuer");
  out.insecure_loopback = section.has("insecure_loopback") && section.flag("insecure_loopback");
  out.ca = section.text_or_empty("ca");
  for (const std::string& pin : section.texts("pins")) {
    NOTP_ASSIGN(const Hash hash, http::parse_pin(pin));
    out.pins.push_back(hash);
  }
  out.with_access_token = section.text_or_empty("access") == "token";
  out.is_signed = section.has("signed") && section.flag("signed");
  NOTP_ASSIGN(out.auth, oauth::load_client_auth(section.section("auth"),
                                                out.with_access_token ? oauth::Purpose::kAccessToken
                                                                      : oauth::Purpose::kClient));
  for (const std::string& url : {out.endpoint, out.auth.token_endpoint}) {
    if (url.empty()) continue;
    if (auto good = oauth::check_url(url, out.server()); !good)
      return fail(ErrorCode::kConfig, std::move(good).error().message);
  }
  return out;
}

Result<std::unique_ptr<Introspector>> Introspector::open(const IntrospectionConfig& config,
                                                         const Environment& environment,
                                                         IssuerKeys issuer_keys) {
  auto out = std::unique_ptr<Introspector>(new Introspector(config, std::move(issuer_keys)));
  http::ClientOptions options{
      .tls = {.authorities = config.ca, .certificate = {}, .private_key = {}, .pins = config.pins},
      .proxy = {},
      .environment = environment};
  if (config.with_access_token) {
    NOTP_ASSIGN(out->tokens_,
                oauth::TokenClient::open(config.auth, config.server(), std::move(options)));
    return out;
  }
  if (config.auth.method == oauth::Method::kTlsClientAuth) {
    options.tls.certificate = config.auth.certificate;
    options.tls.private_key = config.auth.private_key;
  }
  NOTP_ASSIGN(out->client_, http::Client::open(std::move(options)));
  return out;
}

// RFC 7662 §2.1.
Result<http::Call> Introspector::request(const std::string& token) {
  const oauth::FormFields fields{{"token", token}, {"token_type_hint", "access_token"}};
  // With an access token the client itself does not authenticate here.
  if (tokens_) return oauth::form_request(config_.server(), config_.endpoint, fields);
  NOTP_ASSIGN(const oauth::Credentials credentials, oauth::Credentials::read(config_.auth));
  return oauth::authenticated_form(config_.auth, config_.server(), credentials, config_.endpoint,
                                   fields, read_clock().wall_ms, random_);
}

asio::awaitable<Result<std::optional<lane::TokenAdded>>> Introspector::resolve(std::string token) {
  const feed::TokenId id = feed::token_id(token);
  auto made = request(token);
  OPENSSL_cleanse(token.data(), token.size());
  if (!made) co_return std::unexpected(std::move(made).error());
  CleansedCall request(*std::move(made));
  request.call.deadline_ms = kIntrospectionMs;
  request.call.answer_bytes_max = kIntrospectionBytesMax;
  for (auto& [name, value] : request.call.headers)
    if (name == "Accept") value = introspection_type(config_.is_signed);
  Result<http::Response> response = fail(ErrorCode::kInternal, "not asked");
  if (tokens_)
    response = co_await tokens_->call(request.call);
  else
    response = co_await client_->call(request.call);
  if (!response) co_return std::unexpected(std::move(response).error());
  const IntrospectionRules rules{
      .issuer = config_.issuer,
      .signed_for = config_.is_signed ? config_.auth.client_id : std::string(),
      .keys = config_.is_signed ? issuer_keys_(config_.issuer) : nullptr,
      .now_ms = read_clock().wall_ms};
  auto read = read_introspection(*response, rules);
  if (!read) co_return std::unexpected(std::move(read).error());
  if (!*read) co_return std::nullopt;
  co_return lane::TokenAdded{.id = id, .attributes = **std::move(read)};
}

}  // namespace notp::lane_inputs

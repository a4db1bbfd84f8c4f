// A workload that asks a Transaction Token Service, as an application does.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/http/client.hpp"
#include "common/jose/signing_key.hpp"
#include "common/jose/token.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/txn/token_form.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline const std::string kIssuance = "100000000000/issuance";
inline const std::string kTxnKeys = "200000000000/txn";

struct TokenAnswer {
  unsigned status = 0;  // 0: there was none; `body` says why
  json::object body;
  std::string retry_after, cache_control;

  std::string error() const { return text_at(body, "error"); }
  std::string grant() const { return text_at(body, "grant"); }
  std::string token() const { return text_at(body, "access_token"); }
  // Of the token, unverified.
  json::object claims() const {
    const auto read = jose::read_token(token());
    REQUIRE_MESSAGE(read, json::serialize(body));
    return read->claims;
  }
};

// A workload with a certificate of the trust domain.
class Workload {
 public:
  Workload(const Stack& stack, std::string identity, std::string stem, std::string service)
      : identity_(std::move(identity)),
        stem_(std::move(stem)),
        service_(std::move(service)),
        client_(std::make_unique<http::Client>(
            must(http::Client::open({.tls = {.authorities = stack.authority_file(),
                                             .certificate = stem_ + ".crt",
                                             .private_key = stem_ + ".key"},
                                     .proxy = {.url = "none"},
                                     .environment = {}})))) {}

  const std::string& identity() const { return identity_; }
  const std::string& stem() const { return stem_; }

  http::Response call(const std::string& method, const std::string& path, std::string body = {},
                      std::string type = "application/x-www-form-urlencoded") const {
    return must(send(method, path, std::move(body), std::move(type)));
  }
  TokenAnswer ask_text(std::string body) const {
    const auto answered = send("POST", "/token", std::move(body));
    if (!answered) return {.status = 0, .body = {{"no_answer", answered.error().message}}};
    const http::Response& answer = *answered;
    const auto parsed = parse_json(answer.body);
    TokenAnswer out{.status = static_cast<unsigned>(answer.status), .body = {}};
    if (parsed && parsed->is_object()) out.body = parsed->get_object();
    out.retry_after = http::find_header(answer.headers, "Retry-After");
    out.cache_control = http::find_header(answer.headers, "Cache-Control");
    return out;
  }
  TokenAnswer ask(const TokenRequest& request) const { return ask_text(form_of(request)); }
  // Signed by the key of its certificate.
  std::string self_signed(const std::string& audience, const std::string& jti,
                          json::object more = {}) const {
    const int64_t now_s = read_clock().wall_ms / 1000;
    json::object claims{{"iss", identity_}, {"sub", identity_},  {"aud", audience},
                        {"iat", now_s},     {"exp", now_s + 50}, {"jti", jti}};
    for (auto& [name, value] : more) claims[name] = std::move(value);
    return sign({{"typ", "JWT"}}, claims);
  }
  // With the key of its certificate.
  std::string sign(const json::object& header, const json::object& payload) const {
    return must(jose::sign_token(header, payload, must(jose::SigningKey::load(stem_ + ".key"))));
  }
  const std::string& service() const { return service_; }

 private:
  Result<http::Response> send(const std::string& method, const std::string& path,
                              std::string body = {},
                              std::string type = "application/x-www-form-urlencoded") const {
    return client_->call_blocking({.method = method,
                                   .url = service_ + path,
                                   .headers = {{"Content-Type", std::move(type)}},
                                   .body = std::move(body),
                                   .deadline_ms = 30'000});
  }

  std::string identity_, stem_, service_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace notp

#include "tests/support/providers/openid_provider.hpp"

#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

constexpr int kHttpOk = 200;
constexpr int64_t kDeadlineMs = 20'000;
constexpr std::string_view kForm = "application/x-www-form-urlencoded";
// "app:app-secret"
constexpr std::string_view kBasic = "Basic YXBwOmFwcC1zZWNyZXQ=";

bool is_signing_key(const json::value& key) {
  const std::string use = text_at(key, "use");
  return use.empty() || use == "sig";
}

}  // namespace

OpenIdProvider::OpenIdProvider(ProviderSetup setup) : setup_(std::move(setup)) {
  http::ClientOptions options;
  options.tls.authorities = setup_.tls.ca;
  client_ = setup_.tls.ca.empty() ? http::Client() : must(http::Client::open(std::move(options)));
}

http::Response OpenIdProvider::call(http::Call call) const {
  call.deadline_ms = kDeadlineMs;
  const std::string url = call.url;
  auto answer = client_.call_blocking(std::move(call));
  if (!answer) throw std::runtime_error(fmt::format("{}: {}", url, answer.error().message));
  return *std::move(answer);
}

json::value OpenIdProvider::get(const std::string& url) const {
  const http::Response answer = call({.url = url});
  if (answer.status != kHttpOk)
    throw std::runtime_error(fmt::format("{} answers {}: {}", url, answer.status, answer.body));
  return must(parse_json(answer.body));
}

json::value OpenIdProvider::post_form(const std::string& url, const std::string& form,
                                      const http::Headers& headers) const {
  http::Call request{.method = "POST", .url = url, .headers = headers, .body = form};
  request.headers.emplace_back("Content-Type", kForm);
  const http::Response answer = call(std::move(request));
  if (answer.status != kHttpOk)
    throw std::runtime_error(fmt::format("{} answers {}: {}", url, answer.status, answer.body));
  return must(parse_json(answer.body));
}

void OpenIdProvider::discover() {
  const std::string url = issuer_ + "/.well-known/openid-configuration";
  const bool answers = wait_until([&] {
    const auto answer = client_.call_blocking({.url = url});
    return (answer && answer->status == kHttpOk) || !process_->is_running();
  });
  if (!answers || !process_->is_running())
    throw std::runtime_error(fmt::format("{} does not start: {}", setup_.name, process_->error()));
  const json::value document = get(url);
  token_endpoint_ = text_at(document, "token_endpoint");
  jwks_uri_ = text_at(document, "jwks_uri");
}

std::string OpenIdProvider::token() const {
  const json::value answer =
      post_form(token_endpoint_, "grant_type=client_credentials&scope=orders",
                {{"Authorization", std::string(kBasic)}});
  return text_at(answer, "access_token");
}

std::vector<std::string> OpenIdProvider::kids() const {
  std::vector<std::string> out;
  const json::value document = key_set();
  for (const json::value& key : document.at("keys").as_array())
    if (is_signing_key(key)) out.push_back(text_at(key, "kid"));
  return out;
}

// --- DrivenProvider

DrivenProvider::DrivenProvider(Kind kind, ProviderSetup setup)
    : OpenIdProvider(std::move(setup)), kind_(kind) {
  start();
}

void DrivenProvider::start() {
  const auto file = [&](std::string_view ending) {
    return setup_.folder / fmt::format("{}.{}", setup_.name, ending);
  };
  std::filesystem::remove(file("ports"));
  json::object config = setup_.more;
  config["port"] = port_;
  config["port_file"] = file("ports").string();
  config["host"] = setup_.host;
  if (!setup_.tls.certificate.empty()) {
    json::object tls{{"certificate", setup_.tls.certificate.string()},
                     {"key", setup_.tls.key.string()}};
    if (!setup_.tls.client_ca.empty()) tls["client_ca"] = setup_.tls.client_ca.string();
    config["tls"] = std::move(tls);
  }
  must(write_file(file("json"), json::serialize(config)));
  const std::filesystem::path programs = NOTP_OPENID, source = NOTP_OPENID_SOURCE;
  std::vector<std::string> command{programs / "zitadel", file("json")};
  if (kind_ == Kind::kOidcProvider)
    command = {programs / "node", source / "provider.mjs", programs / "node_modules", file("json")};
  process_ = std::make_unique<Process>(ProcessOptions{.command = std::move(command),
                                                      .folder = setup_.folder,
                                                      .environment = {},
                                                      .output_file = file("log"),
                                                      .error_file = file("log")});
  const bool started =
      wait_until([&] { return std::filesystem::exists(file("ports")) || !process_->is_running(); });
  if (!started || !process_->is_running())
    throw std::runtime_error(fmt::format("{} does not start: {}", setup_.name, process_->error()));
  const json::value ports = must(parse_json(read_text(file("ports"))));
  issuer_ = text_at(ports, "issuer");
  port_ = number_at(ports, "port");
  control_ = number_at(ports, "control");
  discover();
}

json::value DrivenProvider::command(const std::string& method, const std::string& path) const {
  const std::string url = fmt::format("http://127.0.0.1:{}{}", control_, path);
  const auto answer =
      must(http::call_blocking({.method = method, .url = url, .deadline_ms = kDeadlineMs}));
  if (answer.status != kHttpOk)
    throw std::runtime_error(fmt::format("{} answers {}: {}", url, answer.status, answer.body));
  return must(parse_json(answer.body));
}

std::string DrivenProvider::login() const {
  return text_at(command("POST", "/login"), "access_token");
}

void DrivenProvider::revoke(const std::string& token) const {
  const http::Response answer =
      call({.method = "POST",
            .url = issuer_ + "/token/revocation",
            .headers = {{"Authorization", std::string(kBasic)},
                        {"Content-Type", "application/x-www-form-urlencoded"}},
            .body = "token=" + token});
  if (answer.status != kHttpOk)
    throw std::runtime_error(fmt::format("revocation answers {}: {}", answer.status, answer.body));
}

int64_t DrivenProvider::requests(std::string_view end) const {
  int64_t count = 0;
  const json::value state = command("GET", "/state");
  for (const auto& [path, times] : at(state, "requests").as_object())
    if (std::string_view(path).ends_with(end)) count += times.to_number<int64_t>();
  return count;
}

int64_t DrivenProvider::key_set_requests() const {
  return requests(kind_ == Kind::kOidcProvider ? "/jwks" : "/keys");
}

}  // namespace notp

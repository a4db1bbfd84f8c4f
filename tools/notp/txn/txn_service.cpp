#include "tools/notp/txn/txn_service.hpp"

#include <fmt/format.h>

#include "common/percent.hpp"

namespace notp::cli {
namespace {

constexpr int64_t kDeadlineMs = 10'000;
constexpr unsigned kOk = 200, kUnauthorized = 401, kForbidden = 403, kNotFound = 404;

ErrorCode code_of(unsigned status) {
  switch (status) {
    case kUnauthorized:
    case kForbidden:
      return ErrorCode::kDenied;
    case kNotFound:
      return ErrorCode::kNotFound;
    default:
      return ErrorCode::kUnavailable;
  }
}

// {"code", "message"} as all our listeners answer; else the status alone.
std::string words_of(const http::Response& response) {
  const auto document = parse_json(response.body);
  const json::object* const object = document ? document->if_object() : nullptr;
  for (const std::string_view name : {"message", "error_description"})
    if (const json::value* const text = object ? object->if_contains(name) : nullptr;
        text && text->is_string())
      return printable(text->get_string());
  return fmt::format("the service answers with status {}", response.status);
}

}  // namespace

std::string url_part(std::string_view text) { return percent_encode(text); }

Result<TxnService> TxnService::open(const Context& context, const std::string& url) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  if (!url.starts_with("https://"))
    return fail(ErrorCode::kUsage,
                "name the service: --service https://HOST:PORT, or NOTP_TXN_SERVICE");
  if (settings.certificate.empty() || settings.key.empty())
    return fail(ErrorCode::kUsage,
                "the service answers those who show a certificate: --cert and --key");
  NOTP_ASSIGN(http::Client client, http::Client::open({.tls = {.authorities = settings.ca,
                                                               .certificate = settings.certificate,
                                                               .private_key = settings.key},
                                                       .proxy = settings.proxy,
                                                       .environment = settings.environment}));
  std::string base = url;
  while (base.ends_with('/')) base.pop_back();
  return TxnService(std::move(base), std::move(client));
}

Result<json::object> TxnService::ask(const std::string& method, const std::string& path,
                                     Bytes body) const {
  http::Call call{.method = method, .url = url_ + path, .headers = {}};
  if (!body.empty()) call.headers.emplace_back("Content-Type", "application/json");
  call.body = std::move(body);
  call.deadline_ms = kDeadlineMs;
  NOTP_ASSIGN(const http::Response response, client_.call_blocking(std::move(call)));
  if (response.status != kOk) return fail(code_of(response.status), words_of(response));
  auto document = parse_json(response.body);
  if (!document || !document->is_object())
    return fail(ErrorCode::kMessage, url_ + " is not a token service: its answer is no object");
  return std::move(document->get_object());
}

}  // namespace notp::cli

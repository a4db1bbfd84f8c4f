// The administration of a Txn-Token Service over HTTPS: notp-client/txn/README.md,
// "Administration".
#pragma once

#include <string>

#include "common/http/client.hpp"
#include "common/json/json.hpp"
#include "tools/notp/command.hpp"

namespace notp::cli {

// One service. Each call is a connection with the certificate of the caller. One thread.
class TxnService {
 public:
  // `url`: "https://host:port". kUsage: another URL, or no certificate is set; kConfig.
  static Result<TxnService> open(const Context& context, const std::string& url);

  // `path`: with its query. The codes of http::Client; kDenied, kNotFound, kUnavailable: as the
  // service answers, with its words; kMessage: not an answer of such a service.
  Result<json::object> get(const std::string& path) const { return ask("GET", path, {}); }
  Result<json::object> post(const std::string& path, const json::object& body) const {
    return ask("POST", path, json::serialize(body));
  }

 private:
  TxnService(std::string url, http::Client client)
      : url_(std::move(url)), client_(std::move(client)) {}
  Result<json::object> ask(const std::string& method, const std::string& path, Bytes body) const;

  std::string url_;
  http::Client client_;
};

// A part of a path or of a query, with %XX for what is not unreserved (RFC 3986 §2.3).
std::string url_part(std::string_view text);

}  // namespace notp::cli

#include "protocol/feed/record_document.hpp"

#include <string>
#include <vector>

namespace notp::feed {

json::object record_document(const TokenRecord& record) {
  json::object out;
  const auto put = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) out.emplace(name, text);
  };
  const auto put_list = [&](std::string_view name, const std::vector<std::string>& list) {
    if (!list.empty()) out.emplace(name, json::array(list.begin(), list.end()));
  };
  const auto put_time = [&](std::string_view name, int64_t seconds) {
    if (seconds != 0) out.emplace(name, seconds);
  };
  put("iss", record.iss);
  put("sub", record.sub);
  put("client", record.client);
  put("scope", record.scope);
  put_list("aud", record.aud);
  put_time("exp", record.exp_s);
  put_time("iat", record.iat_s);
  put("acr", record.acr);
  put_list("amr", record.amr);
  put_time("auth_time", record.auth_time_s);
  put("sid", record.sid);
  if (!record.cnf.empty())
    if (auto cnf = parse_json(record.cnf)) out.emplace("cnf", *std::move(cnf));
  return out;
}

}  // namespace notp::feed

#include "notp-client/api/policies_api.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "notp-client/api/data_api.hpp"
#include "protocol/model/validate.hpp"

namespace notp::api {
namespace {

constexpr unsigned kNotFound = 404;

http::Response lost(const Error& error) {
  // The release was replaced meanwhile and its content collected: a retry reads the new one.
  return http::error_response(503, "unavailable", error.message);
}

Result<Bytes> policy_text(const PolicySource& source, const model::Tree& tree,
                          const std::string& path, const std::string& id) {
  NOTP_ASSIGN(const model::Content content, source.load(tree.find(path)->hash));
  return json::serialize(json::object{{"id", id}, {"raw", *content}});
}

}  // namespace

http::Response policies_response(const PolicySource& source, std::string_view id, bool pretty) {
  Bytes list;
  if (source.active)
    for (const auto& [ledger, release] : source.active->ledgers) {
      if (release.freshness_status.denies()) continue;
      for (const std::string& path : model::rego_paths(*release.tree, /*with_tests=*/false)) {
        const std::string name = fmt::format("{}/{}", ledger.text(), path);
        if (!id.empty() && id != name) continue;
        const auto policy = policy_text(source, *release.tree, path, name);
        if (!policy) return lost(policy.error());
        if (!id.empty())
          return json_text_response(fmt::format("{{\"result\":{}}}", *policy), pretty);
        list += list.empty() ? "" : ",";
        list += *policy;
      }
    }
  if (id.empty()) return json_text_response(fmt::format("{{\"result\":[{}]}}", list), pretty);
  return http::error_response(
      kNotFound, "resource_not_found",
      fmt::format("storage_not_found_error: policy id \"{}\"", printable(id)));
}

}  // namespace notp::api

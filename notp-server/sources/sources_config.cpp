#include "notp-server/sources/sources_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace notp::sources {
namespace {

Result<IssuerConfig> load_issuer(const config::Section& section) {
  IssuerConfig out;
  out.name = section.text("name");
  NOTP_ASSIGN(out.ledger, model::LedgerId::parse(section.text("ledger")));
  out.terms.urls = {
      .issuer = section.text("issuer"),
      .hosts = section.texts("hosts"),
      // Defaults of the schema do not reach into lists.
      .insecure_loopback = section.has("insecure_loopback") && section.flag("insecure_loopback")};
  NOTP_TRY(check_issuer(out.terms.urls));
  out.ca = section.text_or_empty("ca");
  for (const std::string& pin : section.texts("pins")) {
    NOTP_ASSIGN(const Hash hash, http::parse_pin(pin));
    out.pins.push_back(hash);
  }
  for (const std::string& name : section.texts("algorithms"))
    if (const auto algorithm = jose::algorithm_of(name)) out.terms.algorithms.push_back(*algorithm);
  if (section.has("auth")) {
    NOTP_ASSIGN(out.auth, oauth::load_client_auth(section.section("auth")));
    if (auto url = oauth::check_url(out.auth->token_endpoint, out.server()); !url)
      return fail(ErrorCode::kConfig, std::move(url).error().message);
  }
  return out;
}

}  // namespace

Result<std::optional<SourcesConfig>> load_sources(const config::Section& root) {
  if (!root.has("sources")) return std::nullopt;
  const config::Section section = root.section("sources");
  SourcesConfig out;
  out.key = section.text("key");
  out.terms = {.stale_after_s = section.size("stale_after_s"),
               .expire_after_s = section.size("expire_after_s"),
               .on_expired = section.text("on_expired") == "serve" ? trust::OnHard::kServe
                                                                   : trust::OnHard::kDeny};
  if (out.terms.expire_after_s < out.terms.stale_after_s)
    return fail(ErrorCode::kConfig,
                "sources.expire_after_s is below sources.stale_after_s: a release would expire "
                "before it is stale");
  for (const config::Section& entry : section.sections("issuers")) {
    auto issuer = load_issuer(entry);
    if (!issuer)
      return std::unexpected(
          std::move(issuer).error().in(fmt::format("sources.issuers, {}", entry.text("name"))));
    out.issuers.push_back(*std::move(issuer));
  }
  std::ranges::sort(out.issuers, {}, &IssuerConfig::name);
  const auto twice = std::ranges::adjacent_find(out.issuers, {}, &IssuerConfig::name);
  if (twice != out.issuers.end())
    return fail(ErrorCode::kConfig,
                fmt::format("sources.issuers has two entries of the name {}", twice->name));
  return out;
}

}  // namespace notp::sources

#include "notp-server/lane_inputs/event_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "notp-server/lane_inputs/kind_keys.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/sources/discovery.hpp"

namespace notp::lane_inputs {
namespace {

bool flag_or_false(const config::Section& section, std::string_view key) {
  return section.has(key) && section.flag(key);
}

Result<SenderIdentities> load_identities(const config::Section& section,
                                         std::string_view trust_domain) {
  SenderIdentities out{.patterns = {}, .trust_domain = std::string(trust_domain)};
  for (const std::string& text : section.texts("identities")) {
    NOTP_ASSIGN(session::IdentityPattern pattern,
                session::IdentityPattern::parse(text, trust_domain));
    out.patterns.push_back(std::move(pattern));
  }
  return out;
}

Result<SenderTerms> load_sender(const config::Section& section, std::string_view trust_domain) {
  SenderTerms out;
  NOTP_ASSIGN(out.identities, load_identities(section, trust_domain));
  out.authorization_file = section.text_or_empty("authorization_file");
  return out;
}

Result<std::map<std::string, EventEffect, std::less<>>> load_effects(
    const config::Section& section) {
  std::map<std::string, EventEffect, std::less<>> out;
  if (!section.has("events")) return out;
  for (const auto& [name, effect] : section.members("events")) {
    if (!is_event_name(name))
      return fail(ErrorCode::kConfig,
                  fmt::format("events: '{}' is no event of CAEP or RISC; write the last part of "
                              "its type, as in credential-change",
                              printable(name)));
    out.emplace(name, effect == "revoke" ? EventEffect::kRevoke : EventEffect::kIgnore);
  }
  return out;
}

Result<SetRules> load_rules(const config::Section& section) {
  SetRules out;
  out.issuer = section.text("issuer");
  if (section.has("audience")) out.audiences = {section.text("audience")};
  out.subjects.issuer = out.issuer;
  out.subjects.issuers = section.texts("subject_issuers");
  if (out.subjects.issuers.empty()) out.subjects.issuers = {out.issuer};
  if (section.has("subjects"))
    for (const auto& [name, sub] : section.members("subjects"))
      out.subjects.subjects.emplace(lower_case(name), sub);
  NOTP_ASSIGN(out.effects, load_effects(section));
  return out;
}

// `issuer` is the audience of assertions at the authorization server.
Result<RemoteTerms> load_remote(const config::Section& section, const std::string& issuer) {
  RemoteTerms out;
  out.insecure_loopback = flag_or_false(section, "insecure_loopback");
  out.ca = section.text_or_empty("ca");
  for (const std::string& pin : section.texts("pins")) {
    NOTP_ASSIGN(const Hash hash, http::parse_pin(pin));
    out.pins.push_back(hash);
  }
  if (!section.has("auth")) return out;
  NOTP_ASSIGN(out.auth, oauth::load_client_auth(section.section("auth")));
  if (auto url = oauth::check_url(out.auth->token_endpoint, {issuer, out.insecure_loopback}); !url)
    return fail(ErrorCode::kConfig, std::move(url).error().message);
  return out;
}

TimeMs interval_in(const config::Section& section) {
  return section.has("interval_ms") ? section.integer("interval_ms") : kPollIntervalMs;
}

Result<void> check_loopback_url(const std::string& url, const RemoteTerms& remote,
                                const std::string& issuer) {
  if (auto checked = oauth::check_url(url, {issuer, remote.insecure_loopback}); !checked)
    return fail(ErrorCode::kConfig, std::move(checked).error().message);
  return {};
}

}  // namespace

std::vector<std::string> HttpTerms::issuers() const {
  if (bearer) return {bearer->issuer};
  return {};
}

TermsResult load_http(const config::Section& section, std::string_view trust_domain) {
  NOTP_TRY(check_keys(section, {"identities", "bearer", "subject_issuers"}, {}));
  auto out = std::make_shared<HttpTerms>();
  NOTP_ASSIGN(out->identities, load_identities(section, trust_domain));
  out->subject_issuers = section.texts("subject_issuers");
  if (section.has("bearer"))
    out->bearer = BearerTerms{.issuer = section.text("bearer.issuer"),
                              .audience = section.text("bearer.audience"),
                              .clients = section.texts("bearer.clients")};
  if (!out->bearer && out->identities.patterns.empty()) {
    NOTP_ASSIGN(session::IdentityPattern own,
                session::IdentityPattern::parse(fmt::format("source/{}", section.text("name")),
                                                trust_domain));
    out->identities.patterns.push_back(std::move(own));
  }
  return out;
}

TermsResult load_set_push(const config::Section& section, std::string_view trust_domain) {
  NOTP_TRY(check_keys(section,
                      {"issuer", "audience", "subject_issuers", "events", "subjects", "identities",
                       "authorization_file"},
                      {"issuer", "audience"}));
  auto out = std::make_shared<SetPushTerms>();
  NOTP_ASSIGN(out->rules, load_rules(section));
  NOTP_ASSIGN(out->sender, load_sender(section, trust_domain));
  return out;
}

TermsResult load_set_poll(const config::Section& section, std::string_view) {
  NOTP_TRY(check_keys(section,
                      {"issuer", "audience", "subject_issuers", "events", "subjects", "url",
                       "interval_ms", "auth", "ca", "pins", "insecure_loopback"},
                      {"issuer", "audience", "url"}));
  auto out = std::make_shared<SetPollTerms>();
  NOTP_ASSIGN(out->rules, load_rules(section));
  NOTP_ASSIGN(out->remote, load_remote(section, out->rules.issuer));
  out->url = section.text("url");
  out->interval_ms = interval_in(section);
  NOTP_TRY(check_loopback_url(out->url, out->remote, out->rules.issuer));
  return out;
}

TermsResult load_ssf(const config::Section& section, std::string_view trust_domain) {
  NOTP_TRY(check_keys(section,
                      {"issuer", "audience", "subject_issuers", "events", "subjects", "delivery",
                       "push_url", "interval_ms", "identities", "authorization_file", "hosts",
                       "auth", "ca", "pins", "insecure_loopback"},
                      {"issuer"}));
  auto out = std::make_shared<SsfTerms>();
  NOTP_ASSIGN(out->rules, load_rules(section));
  NOTP_ASSIGN(out->sender, load_sender(section, trust_domain));
  NOTP_ASSIGN(out->remote, load_remote(section, out->rules.issuer));
  out->is_push = section.text_or_empty("delivery") == "push";
  out->push_url = section.text_or_empty("push_url");
  out->hosts = section.texts("hosts");
  out->interval_ms = interval_in(section);
  NOTP_TRY(sources::check_issuer({out->rules.issuer, out->hosts, out->remote.insecure_loopback}));
  if (out->is_push && out->push_url.empty())
    return fail(ErrorCode::kConfig,
                "push_url is missing, which delivery push needs: /lane/<lane>/sets of this "
                "registry, as the transmitter reaches it");
  if (!out->is_push && !(out->push_url.empty() && out->sender.authorization_file.empty() &&
                         out->sender.identities.patterns.empty()))
    return fail(ErrorCode::kConfig,
                "push_url, authorization_file and identities belong to delivery push");
  return out;
}

}  // namespace notp::lane_inputs

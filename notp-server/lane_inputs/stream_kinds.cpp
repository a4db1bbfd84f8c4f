// What the kinds of streams read of their entries.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/http/guard.hpp"
#include "common/http/url.hpp"
#include "notp-server/lane_inputs/kind_keys.hpp"
#include "notp-server/lane_inputs/postgresql_feed.hpp"
#include "notp-server/lane_inputs/redis_feed.hpp"
#include "notp-server/lane_inputs/stream_source.hpp"
#include "notp-server/lane_inputs/websocket_feed.hpp"

namespace notp::lane_inputs {
namespace {

constexpr const char* kJansChannel = "jans_token";

using Terms = Result<std::shared_ptr<const KindTerms>>;
using Made = Result<std::unique_ptr<lane::LaneSource>>;

Result<std::vector<Hash>> pins_in(const config::Section& section) {
  std::vector<Hash> out;
  for (const std::string& pin : section.texts("pins")) {
    NOTP_ASSIGN(const Hash hash, http::parse_pin(pin));
    out.push_back(hash);
  }
  return out;
}

std::string channel_in(const config::Section& section) {
  return section.has("channel") ? section.text("channel") : kJansChannel;
}

// Tokens and passwords go over plain connections to this machine alone.
Result<void> check_plain(const HostPort& at, const config::Section& section) {
  const bool is_allowed = section.has("insecure_loopback") && section.flag("insecure_loopback") &&
                          http::names_loopback(at.host);
  if (is_allowed) return {};
  return fail(ErrorCode::kConfig,
              fmt::format("{}: tokens are read over TLS alone; insecure_loopback allows a plain "
                          "connection to this machine",
                          at.text()));
}

// --- redis

struct RedisSourceTerms final : StreamSourceTerms {
  HostPort at;
  std::string channel, user;
  std::filesystem::path password_file, ca;
  std::vector<Hash> pins;
  bool is_tls = true;
};

Terms load_redis(const config::Section& section, std::string_view) {
  NOTP_TRY(check_keys(section,
                      with_stream_keys({"address", "channel", "user", "password_file", "tls", "ca",
                                        "pins", "insecure_loopback"}),
                      {"address"}));
  auto out = std::make_shared<RedisSourceTerms>();
  NOTP_TRY(load_stream(section, *out));
  NOTP_ASSIGN(out->at, HostPort::parse(section.text("address")));
  out->channel = channel_in(section);
  out->user = section.text_or_empty("user");
  out->password_file = section.text_or_empty("password_file");
  if (!out->user.empty() && out->password_file.empty())
    return fail(ErrorCode::kConfig, "user is that of a password, and password_file is missing");
  out->ca = section.text_or_empty("ca");
  NOTP_ASSIGN(out->pins, pins_in(section));
  out->is_tls = !section.has("tls") || section.flag("tls");
  if (!out->is_tls) NOTP_TRY(check_plain(out->at, section));
  return out;
}

Made make_redis(const SourceConfig& config, const SourceParts& parts) {
  const auto& terms = static_cast<const RedisSourceTerms&>(*config.terms);
  RedisTerms out{.target = {.at = terms.at, .tls = nullptr, .proxy = std::nullopt},
                 .channel = terms.channel,
                 .user = terms.user,
                 .password_file = terms.password_file};
  if (terms.is_tls) {
    NOTP_ASSIGN(
        out.target.tls,
        http::ClientTls::load(
            {.authorities = terms.ca, .certificate = {}, .private_key = {}, .pins = terms.pins}));
  }
  return make_stream_source(config, parts, make_redis_feed(std::move(out)));
}

// --- postgresql

struct PostgresqlSourceTerms final : StreamSourceTerms {
  PostgresqlTerms at;
};

// What PostgreSQL makes of a name without quotes, as Jans writes it.
bool is_plain_name(std::string_view name) {
  return std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

Terms load_postgresql(const config::Section& section, std::string_view) {
  NOTP_TRY(check_keys(section,
                      with_stream_keys({"address", "database", "user", "channel", "password_file",
                                        "tls", "ca", "insecure_loopback"}),
                      {"address", "database", "user"}));
  auto out = std::make_shared<PostgresqlSourceTerms>();
  NOTP_TRY(load_stream(section, *out));
  out->is_base64 = true;
  NOTP_ASSIGN(out->at.at, HostPort::parse(section.text("address")));
  out->at.database = section.text("database");
  out->at.user = section.text("user");
  out->at.channel = channel_in(section);
  if (!is_plain_name(out->at.channel))
    return fail(
        ErrorCode::kConfig,
        fmt::format("channel {} is not a name in lower case, which is what PostgreSQL makes "
                    "of a name",
                    printable(out->at.channel)));
  out->at.password_file = section.text_or_empty("password_file");
  out->at.ca = section.text_or_empty("ca");
  const bool is_tls = !section.has("tls") || section.flag("tls");
  if (!is_tls) {
    if (!out->at.ca.empty()) return fail(ErrorCode::kConfig, "ca is that of TLS, and tls is false");
    NOTP_TRY(check_plain(out->at.at, section));
  } else if (out->at.ca.empty()) {
    return fail(ErrorCode::kConfig, "ca is missing: libpq does not know the system's authorities");
  }
  return out;
}

Made make_postgresql(const SourceConfig& config, const SourceParts& parts) {
  const auto& terms = static_cast<const PostgresqlSourceTerms&>(*config.terms);
  return make_stream_source(config, parts, make_postgresql_feed(terms.at));
}

// --- websocket

struct WebsocketSourceTerms final : StreamSourceTerms {
  http::Url url;
  std::filesystem::path authorization_file, ca;
  std::vector<Hash> pins;
};

// ws and wss are http and https to everything but their name (RFC 6455 §3).
Result<http::Url> parse_websocket_url(std::string_view text) {
  constexpr std::string_view kPlain = "ws://", kSecure = "wss://";
  if (text.starts_with(kPlain))
    return http::Url::parse(fmt::format("http://{}", text.substr(kPlain.size())));
  if (text.starts_with(kSecure))
    return http::Url::parse(fmt::format("https://{}", text.substr(kSecure.size())));
  return fail(ErrorCode::kConfig,
              fmt::format("{} is not the URL of a WebSocket: wss://…", printable(text)));
}

Terms load_websocket(const config::Section& section, std::string_view) {
  NOTP_TRY(check_keys(
      section, with_stream_keys({"url", "authorization_file", "ca", "pins", "insecure_loopback"}),
      {"url"}));
  auto out = std::make_shared<WebsocketSourceTerms>();
  NOTP_TRY(load_stream(section, *out));
  NOTP_ASSIGN(out->url, parse_websocket_url(section.text("url")));
  if (!out->url.is_tls) NOTP_TRY(check_plain(out->url.at, section));
  out->authorization_file = section.text_or_empty("authorization_file");
  out->ca = section.text_or_empty("ca");
  NOTP_ASSIGN(out->pins, pins_in(section));
  return out;
}

Made make_websocket(const SourceConfig& config, const SourceParts& parts) {
  const auto& terms = static_cast<const WebsocketSourceTerms&>(*config.terms);
  WebsocketTerms out{.target = {.at = terms.url.at, .tls = nullptr, .proxy = std::nullopt},
                     .authority = terms.url.authority,
                     .path = terms.url.target,
                     .authorization_file = terms.authorization_file};
  if (terms.url.is_tls) {
    NOTP_ASSIGN(
        out.target.tls,
        http::ClientTls::load(
            {.authorities = terms.ca, .certificate = {}, .private_key = {}, .pins = terms.pins}));
    NOTP_ASSIGN(auto route, http::choose_proxy({}, parts.environment, terms.url.at));
    out.target.proxy = std::move(route.proxy);
  }
  return make_stream_source(config, parts, make_websocket_feed(std::move(out)));
}

}  // namespace

SourceKind websocket_kind() {
  return {.name = "websocket", .load = load_websocket, .make = make_websocket};
}
SourceKind redis_kind() { return {.name = "redis", .load = load_redis, .make = make_redis}; }
SourceKind postgresql_kind() {
  return {.name = "postgresql", .load = load_postgresql, .make = make_postgresql};
}

}  // namespace notp::lane_inputs

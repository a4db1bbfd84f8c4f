#include "notp-server/app/open_lanes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/log.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"
#include "notp-server/registry/restored_mark.hpp"

namespace notp::server {
namespace {

using Kind = SetupFinding::Kind;

std::vector<sources::IssuerConfig> issuers_of(const ServerConfig& config) {
  return config.sources ? config.sources->issuers : std::vector<sources::IssuerConfig>();
}

// Events of an issuer without published keys are asked for again and again.
void check_issuers(const ServerConfig& config, SetupReport& report) {
  const auto known = issuers_of(config);
  const auto is_known = [&](const std::string& issuer) {
    return std::ranges::any_of(
        known, [&](const sources::IssuerConfig& one) { return one.terms.urls.issuer == issuer; });
  };
  for (const auto& [lane, sources] : config.lane_inputs.sources)
    for (const lane_inputs::SourceConfig& source : sources)
      for (const std::string& issuer : source.terms->issuers())
        if (!is_known(issuer))
          report.add(Kind::kUseless, fmt::format("lanes.lanes, {}, sources, {}", lane, source.name),
                     fmt::format("nothing of {} can be verified: it is not one of sources.issuers",
                                 printable(issuer)),
                     "add it there with the same issuer, byte for byte");
}

}  // namespace

Result<std::unique_ptr<OpenLanes>> OpenLanes::open(const ServerConfig& config, bool is_volatile,
                                                   const OpenLanesParts& parts) {
  if (!config.lanes || is_volatile) return nullptr;
  NOTP_ASSIGN(const auto mark, registry::read_restored_mark(config.data_dir));
  std::unique_ptr<OpenLanes> out(new OpenLanes(config, parts));
  NOTP_ASSIGN(out->lanes_,
              lane::Lanes::open(*config.lanes,
                                {.trust_domain = config.trust_domain,
                                 .data_dir = config.data_dir,
                                 .restored_ms = mark ? mark->restored_ms : 0,
                                 .observe_fan_out = [&metrics = out->fan_out_](double seconds) {
                                   metrics.observe(seconds);
                                 }}));
  NOTP_TRY(out->add_sources(config.lane_inputs));
  lane::add_lane_metrics(parts.metrics, *out->lanes_);
  return out;
}

OpenLanes::OpenLanes(const ServerConfig& config, const OpenLanesParts& parts)
    : parts_(parts),
      listen_(config.lane_inputs.listen),
      keys_(parts.registry, issuers_of(config)),
      routes_([denied = parts.denied](const std::string& identity) {
        return denied == nullptr ? Result<void>() : denied->check(identity);
      }),
      thread_([this] { context_.run(); }) {}

Result<void> OpenLanes::add_sources(const LaneInputsConfig& config) {
  for (const auto& [name, sources] : config.sources)
    for (const lane_inputs::SourceConfig& source : sources) {
      auto made = lane_inputs::make_source(
          source, {.intake = *lanes_->find(name),
                   .lane = name,
                   .issuer_keys = [this](std::string_view issuer) { return keys_.keys(issuer); },
                   .unknown_key =
                       [this](std::string_view issuer, std::string_view kid) {
                         if (parts_.sources != nullptr)
                           parts_.sources->unknown_key({}, {std::string(issuer), std::string(kid)});
                       },
                   .routes = listen_ ? &routes_ : nullptr,
                   .environment = parts_.environment,
                   .executor = context_.get_executor()});
      if (!made)
        return std::unexpected(std::move(made).error().in(
            fmt::format("lanes.lanes, {}, sources, {}", name, source.name)));
      lanes_->add_source(name, *std::move(made));
    }
  return {};
}

Result<void> OpenLanes::listen() {
  if (!listen_) return {};
  NOTP_ASSIGN(listener_, lane_inputs::LaneListener::open(*listen_, routes_, &parts_.metrics));
  return {};
}

void OpenLanes::reload() {
  if (!listener_) return;
  const auto fresh = listener_->reload();
  if (!fresh) log::write(log::Level::kError, "lane_listener_not_reloaded", fresh.error());
}

void OpenLanes::stop() {
  if (listener_) listener_->stop();
  if (lanes_) lanes_->stop();
  work_.reset();
  if (thread_.joinable()) thread_.join();
}

void check_lanes(const ServerConfig& config, const trust::Root* root, SetupReport& report) {
  if (!config.lanes) return;
  check_issuers(config, report);
  const std::string file = config.lanes->key.string();
  const auto key = lane::read_lane_key(config.lanes->key);
  if (!key)
    return report.add(Kind::kRefused, file, key.error().message, {}, ErrorCode::kConfig,
                      "file_unreadable");
  if (root == nullptr || root->lane_key == key->public_key()) return;
  report.add(
      Kind::kUseless, file,
      root->lane_key
          ? fmt::format("is not the lane key of root v{}: no node takes the lanes", root->version)
          : fmt::format("root v{} has no lane key: no node takes the lanes", root->version),
      "notp root set-lane-key with the public half of this key, then sign and publish that "
      "root",
      ErrorCode::kConfig, "lane_key_wrong");
}

}  // namespace notp::server

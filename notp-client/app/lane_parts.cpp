#include "notp-client/app/lane_parts.hpp"

#include <fmt/format.h>

namespace notp::client {
namespace {

std::string_view topic_name(lane::LaneTopic topic) {
  switch (topic) {
    case lane::LaneTopic::kKey:
      return "key";
    case lane::LaneTopic::kRefused:
      return "refused";
    case lane::LaneTopic::kStatement:
      return "statement";
    case lane::LaneTopic::kHistory:
      return "history";
    case lane::LaneTopic::kStore:
      return "store";
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<LaneParts>> LaneParts::open(const ClientConfig& config, LanePlace place) {
  if (!config.lane) return nullptr;
  if (!place.sink)
    return fail(ErrorCode::kConfig,
                "lane: a folder's PDP takes no tokens: use pdp.kind embedded or opa, or remove it");
  const lane::LaneOptions& options = config.lane->lane;
  lane::LaneStoreOptions store_options{.folder = config.data_dir,
                                       .trust_domain = options.trust_domain,
                                       .lane = options.lane,
                                       .seal = std::nullopt,
                                       .now_ms = read_clock().wall_ms};
  if (options.keeps_tokens) {
    NOTP_ASSIGN(auto seal, lane::RecordSeal::read(config.lane->key));
    store_options.seal.emplace(std::move(seal));
  }
  NOTP_ASSIGN(auto store, lane::LaneStore::open(std::move(store_options)));
  std::unique_ptr<LaneParts> parts(new LaneParts(*config.lane));
  parts->opa_ = place.opa;
  parts->metrics_.emplace(*place.metrics, options.lane);
  parts->host_ = std::make_unique<lane::LaneHost>(
      options,
      lane::LaneHostParts{.agent = std::move(place.agent),
                          .sink = *place.sink,
                          .store = std::move(store),
                          .alarm = std::move(place.alarm),
                          .on_status = [metrics = &*parts->metrics_](
                                           const lane::LaneStatus& s) { metrics->update(s); },
                          .with_events = place.with_events});
  return parts;
}

std::optional<decision::TokenAsk> LaneParts::token_ask() {
  if (config_.asked_tokens.empty()) return std::nullopt;
  return decision::TokenAsk(
      config_.asked_tokens, [this](std::vector<feed::TokenId> ids, std::string caller) {
        return host_->resolve(std::move(ids), std::move(caller), config_.ask_wait);
      });
}

json::object LaneParts::document(Now now) const {
  json::object out = lane_document(*host_->status(), now);
  if (!opa_) return out;
  const pdp::OpaTokensStatus opa = opa_->tokens_status();
  out["opa"] = json::object{{"state", pdp::opa_tokens_state_name(opa.state)},
                            {"tokens", opa.tokens},
                            {"refused", opa.refused},
                            {"message", opa.finding}};
  return out;
}

json::object lane_document(const lane::LaneStatus& status, Now now) {
  const lane::LaneReadout& readout = status.readout;
  json::object alarms;
  for (const auto& [topic, text] : status.alarms) alarms[topic_name(topic)] = text;
  const int64_t age_s = status.age_s(now.boot_ms);
  json::object out{{"name", readout.lane},
                   {"mode", readout.mode == lane::LaneMode::kAsk ? "ask" : "push"},
                   {"state", status.state(now.boot_ms)},
                   {"revision", readout.revision},
                   {"acknowledged", status.acknowledged},
                   {"complete", readout.is_complete},
                   {"in_snapshot", status.is_in_snapshot},
                   {"age_s", nullptr},
                   {"hard_s", readout.hard_s},
                   {"on_hard", readout.serves ? "serve" : "deny"},
                   {"tokens", status.tokens},
                   {"deleted", status.tombstones},
                   {"marks", status.marks},
                   {"lists", status.lists},
                   {"memory_bytes", status.memory_bytes},
                   {"statements_refused", status.refused},
                   {"tokens_refused", status.tokens_refused},
                   {"alarms", std::move(alarms)}};
  if (age_s >= 0) out["age_s"] = age_s;
  if (readout.mode == lane::LaneMode::kAsk)
    out["asks"] = json::object{{"held", status.held},
                               {"open", status.open},
                               {"asked", status.asked},
                               {"unanswered", status.unanswered}};
  if (!status.trouble.empty()) out["trouble"] = status.trouble;
  return out;
}

}  // namespace notp::client

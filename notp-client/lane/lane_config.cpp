#include "notp-client/lane/lane_config.hpp"

#include "protocol/model/decision_terms.hpp"

namespace notp::lane {

std::vector<std::string> LaneConfig::all_tokens() const {
  std::vector<std::string> out = asked_tokens;
  out.insert(out.end(), tokens_in_input.begin(), tokens_in_input.end());
  return out;
}

Result<std::optional<LaneConfig>> load_lane(const config::Section& root) {
  if (!root.has("lane")) return std::nullopt;
  const config::Section lane = root.section("lane");
  LaneConfig out;
  out.lane.trust_domain = root.text("trust_domain");
  out.lane.lane = lane.text("name");
  out.lane.mode = lane.text("mode") == "ask" ? LaneMode::kAsk : LaneMode::kPush;
  out.lane.keeps_tokens = lane.text("persist") == "all";
  out.key = lane.text_or_empty("key");
  out.tokens_in_input = lane.texts("tokens_in_input");
  if (out.lane.keeps_tokens && out.key.empty())
    return fail(ErrorCode::kConfig,
                "lane.key is missing: lane.persist: all keeps tokens on the disk, sealed with it");
  if (!out.lane.keeps_tokens && !out.key.empty())
    return fail(ErrorCode::kConfig, "lane.key is read with lane.persist: all alone: remove it");
  if (out.lane.keeps_tokens && out.lane.mode == LaneMode::kAsk)
    return fail(ErrorCode::kConfig,
                "lane.persist: all keeps what is pushed; with lane.mode: ask it has to be "
                "revocations");
  if (lane.has("ask")) {
    if (out.lane.mode != LaneMode::kAsk)
      return fail(ErrorCode::kConfig, "lane.ask is read with lane.mode: ask alone");
    out.asked_tokens.push_back(lane.text("ask.token"));
    out.ask_wait = std::chrono::milliseconds(lane.integer("ask.wait_ms"));
  } else if (out.lane.mode == LaneMode::kAsk) {
    return fail(ErrorCode::kConfig,
                "lane.ask is missing: with lane.mode: ask it says where an input has its token");
  }
  for (const std::string& pointer : out.all_tokens())
    if (const auto parsed = model::MaskPointer::parse("/input" + pointer); !parsed)
      return std::unexpected(
          Error{ErrorCode::kConfig, parsed.error().message, {}}.in("a place of tokens in lane"));
  return out;
}

}  // namespace notp::lane

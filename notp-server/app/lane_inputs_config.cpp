#include "notp-server/app/lane_inputs_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "notp-server/lane_inputs/lane_input_limits.hpp"

namespace notp::server {

Result<LaneInputsConfig> load_lane_inputs(const config::Section& root,
                                          std::string_view trust_domain) {
  LaneInputsConfig out;
  if (!root.has("lanes")) return out;
  const config::Section section = root.section("lanes");
  if (section.has("listen")) {
    NOTP_ASSIGN(out.listen, http::load_listen(section.section("listen"), lane_inputs::kListenPort));
  }
  for (const config::Section& lane : section.sections("lanes")) {
    const std::string name = lane.text("name");
    auto& sources = out.sources[name];
    for (const config::Section& entry : lane.sections("sources")) {
      auto source = lane_inputs::load_source(entry, trust_domain);
      if (!source)
        return std::unexpected(std::move(source).error().in(
            fmt::format("lanes.lanes, {}, sources, {}", name, entry.text("name"))));
      const auto same = std::ranges::find(sources, source->name, &lane_inputs::SourceConfig::name);
      if (same != sources.end())
        return fail(ErrorCode::kConfig, fmt::format("lanes.lanes, {}, has two sources of the name "
                                                    "{}",
                                                    name, source->name));
      sources.push_back(*std::move(source));
    }
  }
  return out;
}

std::vector<std::filesystem::path> LaneInputsConfig::files() const {
  if (!listen) return {};
  return {listen->endpoint.certificate, listen->endpoint.private_key,
          listen->endpoint.client_authorities};
}

}  // namespace notp::server

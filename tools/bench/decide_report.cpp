#include <fmt/format.h>

#include "tools/bench/decide_suite.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr double kSingleRatio = 1.3, kRateRatio = 1.2, kBatchRatio = 3, kSwapRatio = 2,
                 kBesideLoopsMs = 5, kFloodRatio = 2;

constexpr std::array kNames = {"agent", "OPA"};

const DecideFigures* agent_of(const DecideRow& row) { return row.figures(DecidePdp::kAgent); }
const DecideFigures* opa_of(const DecideRow& row) { return row.figures(DecidePdp::kOpa); }

void add_swap_targets(const DecideResult& result, std::vector<Target>& out) {
  const DecideRow& swapped = result.row(DecideRowId::kSwapped);
  const double steady = agent_of(result.row(DecideRowId::kSteady))->latency.p99();
  out.push_back({"failed questions while the model is swapped",
                 static_cast<double>(agent_of(swapped)->failed), 0, "OPA",
                 static_cast<double>(opa_of(swapped)->failed)});
  out.push_back({"answers with a mix of two releases", static_cast<double>(result.swaps[0].mixed),
                 0, "OPA", static_cast<double>(result.swaps[1].mixed)});
  out.push_back({"ms while the model is swapped, p99", agent_of(swapped)->latency.p99(),
                 kSwapRatio * steady, "without swaps", steady});
  const DecideRow& loops = result.row(DecideRowId::kBesideLoops);
  out.push_back({"ms, small question beside 4 endless loops, p99", agent_of(loops)->latency.p99(),
                 kBesideLoopsMs, "OPA", opa_of(loops)->latency.p99()});
}

void add_flood_targets(const DecideResult& result, std::vector<Target>& out) {
  const DecideFigures* flooded = agent_of(result.row(DecideRowId::kFlooded));
  if (!flooded) return;
  const double quiet = agent_of(result.row(DecideRowId::kCentral))->latency.p99();
  out.push_back({"ms, 200 PEPs while one more floods, p99", flooded->latency.p99(),
                 kFloodRatio * quiet, "without it", quiet});
  out.push_back({"failed questions of the 200", static_cast<double>(flooded->failed), 0, "", 0});
}

std::vector<Target> targets_of(const DecideResult& result) {
  std::vector<Target> out;
  for (const DecideRowId id : {DecideRowId::kTcp, DecideRowId::kUnix, DecideRowId::kTls}) {
    const DecideRow& row = result.row(id);
    if (!agent_of(row)) continue;
    const double opa = opa_of(row)->latency.p50();
    out.push_back({fmt::format("ms, {}, p50", row.name), agent_of(row)->latency.p50(),
                   kSingleRatio * opa, "OPA", opa});
  }
  for (const DecideRowId id : {DecideRowId::kRate, DecideRowId::kBatch20, DecideRowId::kBatch100}) {
    const DecideRow& row = result.row(id);
    if (!agent_of(row)) continue;
    const bool is_batch = id != DecideRowId::kRate;
    const double opa = opa_of(row)->rate();
    out.push_back({fmt::format("decisions a second, {}", row.name), agent_of(row)->rate(),
                   (is_batch ? kBatchRatio : kRateRatio) * opa,
                   is_batch ? "OPA, one by one" : "OPA", opa, true});
  }
  if (result.row(DecideRowId::kSwapped).measured()) add_swap_targets(result, out);
  if (result.row(DecideRowId::kFlooded).measured()) add_flood_targets(result, out);
  return out;
}

std::string figures_text(const DecideFigures* figures) {
  if (!figures) return fmt::format("{:>9}{:>9}{:>10}{:>8}", "-", "-", "-", "-");
  return fmt::format("{:>9.3f}{:>9.3f}{:>10}{:>8.0f}", figures->latency.p50(),
                     figures->latency.p99(), grouped(static_cast<uint64_t>(figures->rate())),
                     figures->cpu_us_each());
}

std::string row_text(const DecideRow& row) {
  const DecideFigures *agent = agent_of(row), *opa = opa_of(row);
  const auto of_opa = [&](double (*figure)(const DecideFigures&)) -> std::string {
    return agent && opa ? ratio_text(figure(*agent), figure(*opa)) : "-";
  };
  const auto share = [](const DecideFigures* figures) -> std::string {
    return figures ? fmt::format("{:.0f}", 100 * figures->generator_share()) : "-";
  };
  return fmt::format("{:<30}{}{}{:>8}{:>8}{:>8}{:>10}\n", row.name, figures_text(agent),
                     figures_text(opa),
                     of_opa([](const DecideFigures& f) { return f.latency.p50(); }),
                     of_opa([](const DecideFigures& f) { return f.latency.p99(); }),
                     of_opa([](const DecideFigures& f) { return f.rate(); }),
                     fmt::format("{}/{}", share(agent), share(opa)));
}

std::string swaps_text(const DecideResult& result) {
  if (!result.row(DecideRowId::kSwapped).measured()) return {};
  std::string out = "swaps:";
  for (size_t pdp = 0; pdp < kNames.size(); ++pdp) {
    const SwapFacts& facts = result.swaps[pdp];
    out += fmt::format(" {}: {} releases, {} seen, {} failed, {} mixed;", kNames[pdp],
                       facts.published, facts.seen.size(),
                       result.row(DecideRowId::kSwapped).of[pdp]->failed, facts.mixed);
  }
  return out + "\n";
}

std::string loops_text(const DecideResult& result) {
  if (!result.row(DecideRowId::kBesideLoops).measured()) return {};
  std::string out = "endless loops:";
  for (size_t pdp = 0; pdp < kNames.size(); ++pdp) {
    const EndlessQuestions::Counts& counts = result.loops[pdp];
    out += fmt::format(" {}: {} asked", kNames[pdp], counts.asked);
    for (const auto& [status, count] : counts.answers)
      out += fmt::format(", {} answered {}", count, status);
    out += fmt::format(", {} cut, {} lost;", counts.cut, counts.lost);
  }
  return out + "\n";
}

std::string flood_text(const DecideResult& result) {
  if (!result.row(DecideRowId::kFlooded).measured()) return {};
  return fmt::format("flood: {} answered, {} refused\n", result.flood.answers,
                     result.flood.refused);
}

std::string notes_text(const DecideResult& result) {
  std::string out;
  for (const std::string& note : result.notes) out += fmt::format("note: {}\n", note);
  for (const DecideRow& row : result.rows)
    for (size_t pdp = 0; pdp < kNames.size(); ++pdp)
      if (const auto& figures = row.of[pdp]; figures && figures->failed > 0)
        out += fmt::format("note: {}: {} failed at {}, {} of them wrong, the first: {}\n", row.name,
                           figures->failed, kNames[pdp], figures->wrong, figures->first_failure);
  return out;
}

json::object figures_json(const DecideFigures& figures) {
  return {{"latency", figures.latency.to_json()},
          {"decisions", figures.decisions},
          {"failed", figures.failed},
          {"wrong", figures.wrong},
          {"decisions_per_s", figures.rate()},
          {"asked_per_s", figures.asked_rate},
          {"pdp_cpu_us_per_decision", figures.cpu_us_each()},
          {"generator_cpu_share", figures.generator_share()}};
}

json::object counts_json(const EndlessQuestions::Counts& counts) {
  json::object answers;
  for (const auto& [status, count] : counts.answers) answers[std::to_string(status)] = count;
  return {{"asked", counts.asked},
          {"cut", counts.cut},
          {"lost", counts.lost},
          {"answers", std::move(answers)}};
}

}  // namespace

std::string decide_table(const DecideResult& result) {
  std::string out = fmt::format(
      "Decisions over HTTP on loopback: the agent with the embedded PDP beside OPA, in turn, {:g} "
      "s "
      "for each row and PDP. Inputs of {} bytes.\np50, p99: ms of an answer (of a batch, the "
      "whole); /s: decisions; us: processor time of the PDP for one decision; gen: what the load\n"
      "generator took of one core, in %. OPA answers single questions where the agent has batches. "
      "Swaps: every {:g} s.\nLoad of the machine before: {:.1f}.\n\n",
      result.seconds, result.question_bytes, result.swap_every_s, result.load_before);
  out += fmt::format("{:<30}{:>9}{:>9}{:>10}{:>8}{:>9}{:>9}{:>10}{:>8}{:>8}{:>8}{:>8}{:>10}\n",
                     "question", "p50", "p99", "/s", "us", "OPA p50", "OPA p99", "OPA /s", "us",
                     "/ p50", "/ p99", "/ /s", "gen");
  for (const DecideRow& row : result.rows)
    if (row.measured()) out += row_text(row);
  return out + "\n" + swaps_text(result) + loops_text(result) + flood_text(result) +
         notes_text(result) + targets_table(targets_of(result), "") +
         fmt::format("Control: OPA, {}.\n", result.opa);
}

json::object decide_json(const DecideResult& result, const CorpusLabels& labels) {
  json::array rows, notes, swaps, loops;
  for (const DecideRow& row : result.rows) {
    if (!row.measured()) continue;
    json::object one{{"row", row.name}};
    if (agent_of(row)) one["agent"] = figures_json(*agent_of(row));
    if (opa_of(row)) one["opa"] = figures_json(*opa_of(row));
    rows.push_back(std::move(one));
  }
  for (const std::string& note : result.notes) notes.emplace_back(note);
  for (size_t pdp = 0; pdp < kNames.size(); ++pdp) {
    const SwapFacts& facts = result.swaps[pdp];
    swaps.push_back(json::object{{"pdp", kNames[pdp]},
                                 {"published", facts.published},
                                 {"seen", facts.seen.size()},
                                 {"mixed", facts.mixed}});
    json::object counts = counts_json(result.loops[pdp]);
    counts["pdp"] = kNames[pdp];
    loops.push_back(std::move(counts));
  }
  json::object out{
      {"suite", "decide"},
      {"seconds", result.seconds},
      {"swap_every_s", result.swap_every_s},
      {"connections", result.connections},
      {"question_bytes", result.question_bytes},
      {"load_before", result.load_before},
      {"rows", std::move(rows)},
      {"swaps", std::move(swaps)},
      {"endless_loops", std::move(loops)},
      {"flood", {{"answers", result.flood.answers}, {"refused", result.flood.refused}}},
      {"notes", std::move(notes)},
      {"targets", targets_json(targets_of(result))}};
  add_circumstances(out, labels, result.opa);
  return out;
}

}  // namespace notp::bench

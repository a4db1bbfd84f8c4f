// The two models of fuzz_artifact; its seeds are artifacts between them.
#pragma once

#include "tests/support/registry/model_samples.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp::samples {

// The envelope of the release after the base, as publishers sign it.
inline const Bytes kBaseEnvelope = signed_by(release(1), {2}).encode();
inline const Bytes kTargetEnvelope = [] {
  trust::Release out = release(2);
  out.previous_hash = trust::release_hash(release(1).encode());
  out.content_root = sha256("other content");
  out.issued_ms += 3'600'000;
  return signed_by(out, {2}).encode();
}();
// Not an envelope: coded like any text.
inline const Bytes kTextEnvelope = kBaseEnvelope + "changed";

inline Texts fuzz_base_texts() {
  SeededRandom random(1);
  Texts out{{"manifest.json", "{}"}, {"data/empty/data.json", ""}};
  for (int i = 0; i < 8; ++i)
    out["policies/team" + std::to_string(i % 3) + "/p" + std::to_string(i) + ".rego"] =
        random_text(random, 100 + random.below(300));
  const std::string record = random_text(random, 500);
  for (int i = 0; i < 140; ++i) out["data/users/data.json"] += record;
  return out;
}

inline Texts fuzz_target_texts() {
  Texts out = fuzz_base_texts();
  out["policies/team0/p0.rego"].insert(50, "changed");
  out["data/users/data.json"].replace(30'000, 5, "other");
  out["policies/team1/added.rego"] = "package added\ndefault allow := false\n";
  out["policies/twin.rego"] = out["policies/team1/added.rego"];
  out["policies/copy.rego"] = out["policies/team0/p3.rego"];
  out["renamed/p2.rego"] = out["policies/team2/p2.rego"] + "edited";
  out["renamed/p5.rego"] = out["policies/team2/p5.rego"];
  std::erase_if(out, [](const auto& file) { return file.first.starts_with("policies/team2/"); });
  return out;
}

// Only the large file, changed in many places: a delta with streams worth compressing.
inline Texts fuzz_large_texts() {
  SeededRandom random(2);
  Texts out = fuzz_base_texts();
  std::string& text = out["data/users/data.json"];
  for (size_t at = 900; at + 1000 < text.size(); at += 700 + random.below(500))
    text.replace(at, random.below(40), random_text(random, random.below(60)));
  text = text.substr(50'000) + text.substr(0, 50'000);
  return out;
}

}  // namespace notp::samples

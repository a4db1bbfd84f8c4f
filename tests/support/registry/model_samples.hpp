// Models in memory, and random models with random edits from a seed.
#pragma once

#include <map>
#include <string>

#include "common/assert.hpp"
#include "common/random.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp::samples {

using Texts = std::map<std::string, std::string>;

inline model::ModelContent model_of(const Texts& texts) {
  model::ModelContent out;
  model::Files files;
  for (const auto& [path, text] : texts) {
    const Hash hash = model::blob_hash(text);
    files[path] = {hash, text.size()};
    out.blobs[hash] = std::make_shared<const Bytes>(text);
  }
  auto tree = model::Tree::make(std::move(files));
  NOTP_ASSERT(tree.has_value(), "a sample model breaks a rule");
  out.tree = std::make_shared<const model::Tree>(*std::move(tree));
  return out;
}

inline delta::ReleaseContent side_of(const model::ModelContent& model,
                                     ByteView envelope = "envelope") {
  return {envelope, model.tree.get(), model.loader()};
}

inline delta::ApplyLimits limits_of(const model::ModelContent& model) {
  return {model.tree->total_bytes(), model.tree->files().size()};
}

// Text that resembles policies: words from a small vocabulary, so that it compresses.
inline std::string random_text(Random& random, size_t bytes) {
  static constexpr std::string_view kWords[] = {"package ", "default ", "allow ", "if ", "input.",
                                                "data.",    "roles",    "team",   ":= ", "\n",
                                                "{ ",       "} ",       "== "};
  std::string out;
  while (out.size() < bytes) {
    out += kWords[random.below(std::size(kWords))];
    if (random.below(3) == 0) out += std::to_string(random.below(100'000));
  }
  out.resize(bytes);
  return out;
}

// A few folders, some nested; some files are empty or over kSmallFileBytesMax.
inline std::string random_path(Random& random) {
  std::string out;
  for (uint64_t depth = random.below(4); depth > 0; --depth)
    out += "d" + std::to_string(random.below(4)) + "/";
  static constexpr std::string_view kExtensions[] = {".rego", ".json", ".yaml", ""};
  return out + "f" + std::to_string(random.below(30)) + std::string(kExtensions[random.below(4)]);
}

inline size_t random_size(Random& random) {
  switch (random.below(20)) {
    case 0:
      return 0;
    case 1:
      return (64 << 10) + random.below(4000);
    default:
      return random.below(1500);
  }
}

inline Texts random_texts(Random& random, size_t files) {
  Texts out;
  for (size_t i = 0; i < files; ++i)
    out[random_path(random)] = random_text(random, random_size(random));
  return out;
}

inline std::string move_path(const std::string& path, const std::string& from,
                             const std::string& to) {
  return path.starts_with(from) ? to + path.substr(from.size()) : path;
}

// One random edit of a typical kind.
inline void random_edit(Random& random, Texts& texts) {
  const auto pick = [&] {
    return std::next(texts.begin(), static_cast<ptrdiff_t>(random.below(texts.size())));
  };
  if (texts.empty() || random.below(8) == 0) {
    texts[random_path(random)] = random_text(random, random_size(random));
    return;
  }
  const auto file = pick();
  switch (random.below(7)) {
    case 0:
      texts.erase(file);
      return;
    case 1:
      texts[random_path(random)] = file->second;  // a copy
      return;
    case 2: {  // a rename, sometimes with an edit
      std::string text = file->second;
      if (random.below(2) == 0) text += "edited";
      texts.erase(file);
      texts[random_path(random)] = std::move(text);
      return;
    }
    case 3: {  // a folder renamed, sometimes onto another one
      const std::string from = file->first.substr(0, file->first.rfind('/') + 1);
      const std::string to = "d" + std::to_string(random.below(6)) + "/";
      Texts moved;
      for (auto& [path, text] : texts) moved[move_path(path, from, to)] = text;
      texts = std::move(moved);
      return;
    }
    case 4:
      std::swap(file->second, pick()->second);
      return;
    default:
      file->second.insert(random.below(file->second.size() + 1), random_text(random, 20));
  }
}

}  // namespace notp::samples

// One pass over one JSON text that writes it again without what is masked.
#pragma once

#include <memory>

#include "notp-client/decision/json_reader.hpp"
#include "notp-client/decision/log_mask.hpp"

namespace notp::decision {

// A rule that matches all of the path to the current value that it has tokens for.
struct ActiveMask {
  const CompiledMask* mask = nullptr;
  uint32_t set = 0, index = 0;
};

// What a walk adds to. Null members: not wanted.
struct WalkSink {
  MaskLists* lists = nullptr;
  std::vector<uint64_t>* matched = nullptr;
  Random* random = nullptr;  // needed for commitments
};

// One thread; for one text, which outlives it. Text is copied in pieces as long as possible: what
// was read and not yet copied begins at from_.
class MaskWalker {
 public:
  // `part`: nullopt for text that no pointer reaches; then there are no masks.
  MaskWalker(ByteView text, std::optional<model::MaskPart> part, std::vector<ActiveMask> masks,
             WalkSink sink);

  // As LogMask::apply(). Called once.
  Result<std::optional<Bytes>> run();
  // Whether the result says something else than the text.
  bool has_changed() const { return has_changed_; }

 private:
  // One step from the root to the current value.
  struct Step {
    ByteView raw;                      // the name, with escapes; empty for an element
    const Bytes* rewritten = nullptr;  // the name without them, when it was masked or is new
    bool has_escapes = false;
    bool is_element = false;
    uint64_t index = 0;
  };
  // Of active_.
  struct Range {
    size_t begin = 0, end = 0;
  };

  // Each reads one thing and returns false at a fault.
  bool place(Range active, bool is_credential, bool& is_removed);
  bool value(Range active, bool is_credential);
  bool object(Range active);
  bool member(Range active, std::vector<const CompiledMask*>& missing, bool& is_removed);
  bool array(Range active, bool is_credential);
  bool element(Range active, uint64_t index, bool is_credential, bool& is_removed);
  bool blank();
  bool string();

  const ActiveMask* action_of(Range active);
  bool perform(const ActiveMask& action, size_t mark, bool& is_removed);
  bool commit(size_t mark);
  void name_token(size_t mark);
  void mask_name(const JsonReader::String& name, size_t mark);
  bool mask_arguments(const JsonReader::String& name, size_t mark);
  bool strip_signatures(const JsonReader::String& string);
  void insert(std::span<const CompiledMask* const> masks, size_t depth, bool has_members);
  bool begin_next(bool is_first, bool has_kept, size_t& mark);

  void rewrite_name(Bytes name);
  void space();
  size_t written() const { return out_.size() + (reader_.at() - from_); }
  void flush();
  void cut(size_t mark);
  void list(std::vector<std::string> MaskLists::* names);
  std::optional<std::string> pointer() const;

  const ByteView text_;
  const std::optional<model::MaskPart> part_;
  const WalkSink sink_;
  JsonReader reader_;
  Bytes out_;
  size_t from_ = 0;
  std::vector<ActiveMask> active_;  // a stack
  std::vector<Step> steps_;
  std::vector<std::unique_ptr<const Bytes>> names_;  // that steps_ refer to
  bool is_quiet_ = false;                            // inside a value that is replaced as a whole
  bool has_changed_ = false;
};

}  // namespace notp::decision

#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/bpe/regex.h"

#include <utility>

#include <pcre2.h>

#include "data/bpe/oniguruma_syntax.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr uint32_t kMatchLimit = 50'000'000;         // steps of one match
constexpr size_t kStackStart = size_t{64} << 10;     // bytes, of PCRE2's own stack
constexpr size_t kStackLimit = size_t{64} << 20;     // bytes
constexpr uint32_t kHeapLimit = uint32_t{64} << 10;  // KiB, where there is no JIT
constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;

std::string error_text(int code) {
  PCRE2_UCHAR text[200];
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Deleter<pcre2_compile_context_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Deleter<pcre2_jit_stack_free>>;
using Code = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;

// What one thread needs to match.
class Matcher {
 public:
  explicit Matcher(const pcre2_code* code)
      : code_(code),
        data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    DLCM_CHECK(data_ != nullptr && context_ != nullptr, "regular expression: out of memory");
    pcre2_set_match_limit(context_.get(), kMatchLimit);
    pcre2_set_heap_limit(context_.get(), kHeapLimit);
  }

  bool match(std::string_view text, size_t from, Span& found) {
    int status = run(text, from);
    if (status == PCRE2_ERROR_JIT_STACKLIMIT && stack_ == nullptr) {
      stack_.reset(pcre2_jit_stack_create(kStackStart, kStackLimit, nullptr));
      DLCM_CHECK(stack_ != nullptr, "regular expression: out of memory");
      pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
      status = run(text, from);
    }
    if (status == PCRE2_ERROR_NOMATCH) return false;
    DLCM_CHECK(status >= 0, "regular expression: ", error_text(status), " at byte ", from, " of a text of ",
               text.size(), " bytes");
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data_.get());
    found = {ends[0], ends[1]};
    return true;
  }

 private:
  int run(std::string_view text, size_t from) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    return pcre2_match(code_, subject, text.size(), from, PCRE2_NO_UTF_CHECK, data_.get(), context_.get());
  }

  const pcre2_code* code_;
  MatchData data_;
  MatchContext context_;
  JitStack stack_;
};

size_t next_character(std::string_view text, size_t at) {
  ++at;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

}  // namespace

struct Regex::Compiled {
  Code code;
};

Regex::Regex(std::string_view pattern, const std::string& place) : compiled_(std::make_unique<Compiled>()) {
  const std::string translated = pcre2_of_oniguruma(pattern, place);
  const CompileContext context(pcre2_compile_context_create(nullptr));
  DLCM_CHECK(context != nullptr, "regular expression: out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int code = 0;
  size_t offset = 0;
  compiled_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                      kOptions, &code, &offset, context.get()));
  DLCM_CHECK_INPUT(compiled_->code != nullptr, place,
                   ": not supported: PCRE2 does not take this regular expression: ", error_text(code));
  pcre2_jit_compile(compiled_->code.get(), PCRE2_JIT_COMPLETE);  // where it fails, PCRE2 interprets
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

bool Regex::may_match_nothing() const {
  uint32_t may = 0;
  pcre2_pattern_info(compiled_->code.get(), PCRE2_INFO_MATCHEMPTY, &may);
  return may != 0;
}

void Regex::find_all(std::string_view text, std::vector<Span>& matches) const {
  matches.clear();
  Matcher matcher(compiled_->code.get());
  size_t from = 0;
  Span found{};
  while (from <= text.size() && matcher.match(text, from, found)) {
    const bool repeats_end = !matches.empty() && matches.back().end == found.end;
    if (found.begin == found.end && repeats_end) {
      from = next_character(text, from);
    } else {
      matches.push_back(found);
      from = found.end;
    }
  }
}

std::string escape_regex(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace dlcm::data

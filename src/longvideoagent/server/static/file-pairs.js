/** Which of the files that came together belong together: pure functions of their names. */

const SUBTITLE_NAME = /\.(srt|vtt|ass|ssa)$/i;

const stem = (name) => name.replace(/\.[^.]*$/, "").toLowerCase();
/** talk.srt is of talk.mp4, and so is talk.en.srt. */
const isOf = ({ name }, video) => [stem(name), stem(stem(name))].includes(stem(video.name));

export const isSubtitleFile = ({ name }) => SUBTITLE_NAME.test(name);

/**
 * Each video with the subtitles of its own name, and the subtitles that are of none of them.
 * @param {File[]} files
 * @returns {{pairs: {video: File, subtitles: File|null}[], unused: File[]}}
 */
export function pairFiles(files) {
  const given = files.filter(isSubtitleFile);
  const pairs = files
    .filter((file) => !isSubtitleFile(file))
    .map((video) => {
      const own = given.filter((file) => isOf(file, video)).sort((one, other) => one.name.length - other.name.length);
      return { video, subtitles: own[0] ?? null };
    });
  const used = new Set(pairs.map(({ subtitles }) => subtitles));
  return { pairs, unused: given.filter((file) => !used.has(file)) };
}

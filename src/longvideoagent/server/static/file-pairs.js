/** Pairs videos with subtitle files that were added together: pure functions of file names. */

const SUBTITLE_NAME = /\.(srt|vtt|ass|ssa|ttml|dfxp|itt|sbv|smi|sub|lrc)$/i;

const stem = (name) => name.replace(/\.[^.]*$/, "").toLowerCase();
/** talk.srt belongs to talk.mp4, and so does talk.en.srt. */
const matchesVideo = ({ name }, video) => [stem(name), stem(stem(name))].includes(stem(video.name));

export const isSubtitleFile = ({ name }) => SUBTITLE_NAME.test(name);

/**
 * Each video with the subtitle file of the same name, and the subtitle files that match no video.
 * @param {File[]} files
 * @returns {{pairs: {video: File, subtitles: File|null}[], unused: File[]}}
 */
export function pairFiles(files) {
  const subtitleFiles = files.filter(isSubtitleFile);
  const pairs = files
    .filter((file) => !isSubtitleFile(file))
    .map((video) => {
      const matching = subtitleFiles.filter((file) => matchesVideo(file, video));
      matching.sort((first, second) => first.name.length - second.name.length);
      return { video, subtitles: matching[0] ?? null };
    });
  const used = new Set(pairs.map(({ subtitles }) => subtitles));
  return { pairs, unused: subtitleFiles.filter((file) => !used.has(file)) };
}

"""What questions about a whole video ask for, in six languages, and which questions are about one moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.offline.question_kinds import WHOLE_VIDEO, timeline_question
from longvideoagent.agents.offline.question_lists import listed_items, names_in, quoted


@pytest.mark.parametrize(
    ("question", "query", "asked"),
    [
        # quoted words
        ('How many mentions of "harbour" are there?', "count “harbour”", "value"),
        ("Tell me how often Mira says “lunch”.", "count “lunch” by Mira", "value"),
        ("What's the final time “lunch” is said?", "last “lunch”", "value"),
        ("Who is first to use the word “rain”?", "first “rain”", "speaker"),
        ("Wie oft wird „Regen“ gesagt?", "count “Regen”", "value"),
        ("Wer sagt „Regen“ zuletzt?", "last “Regen”", "speaker"),
        ("Qui dit « pluie » en premier ?", "first “pluie”", "speaker"),
        ("¿Cuándo se menciona «lluvia» por primera vez?", "first “lluvia”", "value"),
        ("“雨”被提到了多少次?", "count “雨”", "value"),
        ("「雨」は何回言われますか?", "count “雨”", "value"),
        # unquoted words
        ("How many times is the lantern brought up?", "count lantern", "value"),
        ("What time does the lantern come up last?", "last lantern", "value"),
        ("Wie oft wird die Laterne erwähnt?", "count Laterne", "value"),
        ("Combien de fois parle-t-on de la lanterne ?", "count lanterne", "value"),
        ("¿Cuántas veces se menciona la linterna?", "count linterna", "value"),
        ("灯笼被提到了几次?", "count 灯笼", "value"),
        ("提灯は何回言及されますか?", "count 提灯", "value"),
        # a person
        ("What is Otto's first sentence?", "first by Otto", "line"),
        ("What does Otto say at the end?", "last by Otto", "line"),
        ("When does Lena speak for the last time?", "last by Lena", "value"),
        ("Was sagt Otto als Erstes?", "first by Otto", "line"),
        ("How many lines does Otto have?", "talk_time Otto", "num_lines"),
        ("how long does Felix speak altogether?", "talk_time Felix", "value"),
        ("When is the lantern mentioned for the second time?", "nth 2 lantern", "value"),
        ("Who says “rain” the 3rd time?", "nth 3 “rain”", "speaker"),
        ("What is the second thing that Mira says?", "nth 2 by Mira", "line"),
        ("Wann wird die Laterne zum zweiten Mal erwähnt?", "nth 2 Laterne", "value"),
        ("Quand parle-t-on de la lanterne pour la troisième fois ?", "nth 3 lanterne", "value"),
        ("¿Cuándo se menciona la linterna por segunda vez?", "nth 2 linterna", "value"),
        ("Is the bakery mentioned before the harbour?", "order bakery ; harbour", "is_before"),
        ("Was the rope talked about after the saw was mentioned?", "order rope ; saw", "is_after"),
        ("Does Otto speak before Lena does?", "order by Otto ; by Lena", "is_before"),
        ("Is Otto mentioned before Lena speaks?", "order Otto ; by Lena", "is_before"),
        ("Does Otto speak after Lena is mentioned?", "order by Otto ; Lena", "is_after"),
        ("Wer redet als Letzter?", "last", "speaker"),
        ("¿Cuándo se menciona la linterna por última vez?", "last linterna", "value"),
        ("How often is “the second half” said?", "count “the second half”", "value"),
        ("In what order do Felix, Nora and Otto speak?", "order by Felix ; by Nora ; by Otto", "value"),
        ("Who talks more, Lena or Otto?", "speakers Lena ; Otto", "value"),
        ("Does Lena talk more than Otto?", "speakers Lena ; Otto", "is_more"),
        ("Who speaks longer, Lena or Otto?", "talk_time Lena ; Otto", "value"),
        ("When is the rope mentioned for the tenth time?", "nth 10 rope", "value"),
        ("How often does Hugo speak?", "talk_time Hugo", "num_lines"),
        ("Wie oft spricht Hugo?", "talk_time Hugo", "num_lines"),
        # the ends, without a name
        ("Who is the last to say something?", "last", "speaker"),
        ("What is the last line?", "last", "line"),
        ("Qui parle en premier ?", "first", "speaker"),
        ("Quelle est la dernière phrase ?", "last", "line"),
        ("¿Quién habla primero?", "first", "speaker"),
        ("¿Cuál es la última frase?", "last", "line"),
        ("谁最先说话?", "first", "speaker"),
        # lists and numbers in other languages
        ("Nenne alle Sprecher.", "speaker_names", "names"),
        ("Welche Schilder sind zu sehen?", "screen_texts", "texts"),
        ("有多少人说话?", "speaker_names", "num_names"),
        ("概括这个视频", "overview", "value"),
        ("How many scenes does the film have?", "scenes", "value"),
        ("Wie viele Szenen gibt es?", "scenes", "value"),
        # all people
        ("Who has more lines than everyone else?", "speakers", "value"),
        ("Which of the people talks longest?", "talk_time", "value"),
        ("Wer hat die längste Redezeit?", "talk_time", "value"),
        ("Qui parle le plus ?", "speakers", "value"),
        ("¿Quién habla más?", "speakers", "value"),
        ("谁说话最多?", "speakers", "value"),
        ("一番多く話すのは誰ですか?", "speakers", "value"),
        ("Who are all the speakers?", "speaker_names", "names"),
        ("How many people speak?", "speaker_names", "num_names"),
        # times
        ("what's being said around the 4:20 mark", "at 4:20", "line"),
        ("Who's talking at 3:05?", "at 3:05", "speaker"),
        ("Who speaks 185 seconds into the video?", "at 3:05", "speaker"),
        ("Was wird um 7:29 gesagt?", "at 7:29", "line"),
        ("7:29说了什么?", "at 7:29", "line"),
        ("Give a transcript from 1:00 to 1:30", "between 1:00 1:30", "lines"),
        ("Wer spricht von 5:00 bis 5:30?", "between 5:00 5:30", "names"),
        ("Que dit-on entre 5:00 et 5:30 ?", "between 5:00 5:30", "lines"),
        ("5:00到5:30之间说了什么?", "between 5:00 5:30", "lines"),
        ("5:00から5:30まで何が話されていますか?", "between 5:00 5:30", "lines"),
        ("How many lines are there from 1:00 to 1:30?", "between 1:00 1:30", "num_lines"),
        ("What does Otto say between 7:00 and 8:00?", "between 7:00 8:00 by Otto", "lines"),
        ("Was sagt Otto um 7:29?", "at 7:29 by Otto", "line"),
        ("What is said right after 7:29?", "after 7:29", "value"),
        ("What is the last thing said before 5:00?", "before 5:00", "value"),
        ("Who is the first to speak after 5:00?", "after 5:00", "speaker"),
        ("Was wird vor 2:00 gesagt?", "before 2:00", "value"),
        ("Que dit-on après 2:00 ?", "after 2:00", "value"),
        ("¿Qué se dice después de 2:00?", "after 2:00", "value"),
        ("2:00之后说了什么?", "after 2:00", "value"),
        ("How many people speak between 5:00 and 6:00?", "between 5:00 6:00", "num_names"),
        ("Qu'est-ce qui est dit à 7:29 ?", "at 7:29", "line"),
        # order
        ("Order these by first mention: saw, rope, lamp", "order saw ; rope ; lamp", "value"),
        ("Which came up first, the saw or the rope?", "order saw ; rope", "earliest"),
        ("In welcher Reihenfolge werden Laterne, Seil und Leiter erwähnt?", "order Laterne ; Seil ; Leiter", "value"),
        ("¿En qué orden se mencionan la linterna y la cuerda?", "order linterna ; cuerda", "value"),
        ("灯笼、绳子和梯子被提到的顺序是什么?", "order 灯笼 ; 绳子 ; 梯子", "value"),
        # length
        ("how many minutes long is this?", "length", "value"),
        ("Wie lange dauert der Film?", "length", "value"),
        ("Quelle est la durée de la vidéo ?", "length", "value"),
        ("¿Cuánto dura el vídeo?", "length", "value"),
        ("视频有多长?", "length", "value"),
        ("How long is it?", "length", "value"),
        ("Can you tell me how long it lasts?", "length", "value"),
        ("When does it end?", "length", "value"),
        ("How long is the talk in minutes?", "length", "value"),
        ("How long is it, in minutes?", "length", "value"),
        ("What is the length of it?", "length", "value"),
        # a person who is mentioned, and does not speak
        ("Is the girl mentioned before the boat?", "order girl ; boat", "is_before"),
        ("How often is the man mentioned?", "count man", "value"),
        ("When is the girl first mentioned?", "first girl", "value"),
        ("Does the man speak before Otto?", "order by man ; by Otto", "is_before"),
        ("Combien de fois mentionne-t-on le mot de passe ?", "count mot de passe", "value"),
        # words that a word for "word" leads to
        ("Wie oft wird das Wort Regen gesagt?", "count Regen", "value"),
        ("Wie oft sagt jemand das Wort Regen?", "count Regen", "value"),
        ("Wie oft wird der Begriff Regen erwähnt?", "count Regen", "value"),
        ("Wann wird das Wort Regen zum ersten Mal gesagt?", "first Regen", "value"),
        ("¿Cuántas veces se dice la palabra lluvia?", "count lluvia", "value"),
        ("動画の長さは?", "length", "value"),
        # texts on screen
        ("Nenne alle Schilder.", "screen_texts", "texts"),
        ("Énumère tous les panneaux.", "screen_texts", "texts"),
        ("列出所有标志。", "screen_texts", "texts"),
    ],
)
def test_question_of_the_timeline(question: str, query: str, asked: str) -> None:
    found = timeline_question(question)
    assert found is not None
    assert (found.query, found.asked) == (query, asked)


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("How often does she say rain?", "count rain"),
        ("How often does he say “rain”?", "count “rain”"),
        ("When does the man first mention the rope?", "first rope"),
        ("How often does the old woman say rain?", "count rain"),
        ("Wie oft sagt sie Regen?", "count Regen"),
    ],
)
def test_words_of_a_person_without_a_name(question: str, query: str) -> None:
    found = timeline_question(question)
    assert found is not None
    assert found.is_of_someone
    assert found.query == query


@pytest.mark.parametrize(
    ("question", "look", "asked"),
    [
        ("What is on screen at 3:10?", "3:10: ", "texts"),
        ("What texts are shown from 1:00 to 2:00?", "1:00-2:00: ", "texts"),
        ("What word briefly flashes on the screen?", "", "brief"),
        ("Which word flashes up at 1:41?", "1:41: ", "brief"),
        ("List all the text that appears on screen", f"{WHOLE_VIDEO}: ", "texts"),
    ],
)
def test_question_that_needs_a_look(question: str, look: str, asked: str) -> None:
    found = timeline_question(question)
    assert found is not None
    assert found.asked == asked
    assert found.look.startswith(look)


@pytest.mark.parametrize(
    "question",
    [
        "What does Otto say when Mira enters?",
        "Where was Otto when Mira walked in at 2 am?",
        "What does the sign say after Mira says that the engine is stolen?",
        "What did Lena order, pizza or pasta?",
        "Who is the person that Otto talks to the most about his mother's illness?",
        "What is the last thing Otto says to Mira about the lantern?",
        "How long did it take Otto to repair the engine?",
        "How many people are in the room?",
        "What word is on Mira's shirt?",
        "What color is the car at 3:10?",
        "Who says “I like it here”?",
        "Why does Otto look at the sign?",
        # a part of the video, or a place that is not counted from its start
        "How often is rain mentioned in the first two minutes?",
        "How often is rain mentioned in the second half?",
        "Wie oft wird Regen in der letzten Minute erwähnt?",
        "Combien de fois parle-t-on de la pluie dans la première moitié ?",
        "¿Cuántas veces se menciona la lluvia en la última parte?",
        "Who speaks second most?",
        "Who has the second most lines?",
        "What is the second-to-last thing Felix says?",
        "What is the second last line of the video?",
        "What is Otto's penultimate sentence?",
        "Was ist der vorletzte Satz von Otto?",
        # somebody or something, and not the video
        "How long does she talk?",
        "How long do they talk?",
        "How long does it take?",
        "How long has it been going on?",
        "How much time do they have for it?",
        "How long is she in the film?",
        "How long do they show it?",
        "How long is it visible?",
        "When is she over it?",
        # a person whom no name distinguishes from the others
        "What does the man say last?",
        "What does she say last?",
        "What is the last thing she says?",
        "What are the last words that the old woman says?",
        "What are her last words?",
        "What does the old man say first?",
        "Who does the man talk to first?",
        "Was sagt er zuletzt?",
        "How many people does she talk to?",
        # more than what is said at a time
        "How often is rain mentioned after 5:00?",
        "How often does Otto mention rain from 0:00 to 4:00?",
        "Who speaks most between 5:00 and 6:00?",
        "Who is not talking at 7:29?",
        "Does Otto speak at 7:29?",
        "Is it Otto who talks at 7:29?",
        "Spricht Otto um 7:29?",
        "Is the rope mentioned before 5:00?",
        "What is the first thing said before 5:00?",
        "What is the last thing that Otto says after 5:00?",
        "What is the second thing said after 5:00?",
        "How long is the pause between 0:54 and 1:02?",
        "How often do people speak?",
        "What is said between minute 5 and minute 5:30?",
        "",
        "?" * 400,
    ],
)
def test_question_about_one_moment(question: str) -> None:
    assert timeline_question(question) is None


def test_parts_of_questions() -> None:
    assert quoted("“one” and \"two\" and «three» and 「四」 and 'five', it's") == ["one", "two", "three", "四", "five"]
    assert names_in("What are Otto's words? Mira says so. The Video is long.") == ["Otto"]
    assert listed_items("Sort the saw, the rope and the lamp by when they come up") == ["saw", "rope", "lamp"]
    assert listed_items("What is said?") == []


@given(st.text(max_size=320))
def test_any_text_is_read(text: str) -> None:
    found = timeline_question(text)
    assert found is None or found.query or found.look

"""Sentences in many languages, written by us, that the corpus script turns into endless things to say."""

from __future__ import annotations

# Every sentence was written for this file. The last two of each language are kept for testing.
SENTENCES: dict[str, str] = {
    "en": """The people of this small town believe that summer is the best time of the year.
My brother bought a new computer from a shop near the bank, because the baby broke the old one.
Many members of the government were asked why the number of public libraries fell so quickly.
It may be possible to move the meeting from Monday to Wednesday, if nobody minds waiting.
Have you ever watched a ship leave the harbour while the moon was still above the water?
She sells fresh fish, white cheese and five kinds of very good bread on the corner.
I think we should choose music that everybody loves, and then open both of the windows.
The judge looked at the photograph, took off his gloves and asked for a glass of juice.
Why would you walk through the wood when the weather is this rough?
Three thirsty thieves thought that they were through with the thing.
Please put the paper cups, the apples and the purple bowl back on the table.
What a wonderful morning for a long, slow walk around the lake!
Perhaps the bright blue balloon above the village belongs to the farmer.
Remember to bring a map, a lamp and some warm gloves for the climb.""",
    "de": """Ich bin heute sehr müde, aber wir müssen morgen früh mit dem Bus zur Arbeit fahren.
Bitte machen Sie das Fenster auf, weil es im Zimmer viel zu warm ist.
Meine Mutter backt jeden Sonntag einen Apfelkuchen mit Butter und Pflaumen.
Zwischen den Bäumen am Fluss spielen die Kinder vom Nachmittag bis zum Abend.
Das Pferd des Bürgermeisters hat einen schönen, aber viel zu kleinen Kopf.
Vielleicht können wir im nächsten Sommer wieder gemeinsam ans Meer reisen.
Er sprach so schnell und so leise, dass niemand auch nur ein Wort verstand.
Warum hast du mir nicht gesagt, dass der Zug schon abgefahren ist?
Fünf freche Füchse fraßen frischen Fisch vor der Hütte.
Auf dem Papier sieht das Problem einfach aus, doch in Wirklichkeit bleibt es schwierig.""",
    "fr": """Bonjour, je voudrais un café avec beaucoup de lait, parce que je me suis levé trop tôt.
Nous avons vu une belle voiture bleue devant la maison de mon père, près du parc.
La pluie tombait sur le toit pendant que les enfants jouaient aux cartes.
Il faudrait peut-être ouvrir la fenêtre, car la chambre sent un peu la fumée.
Ma petite sœur a peur du noir et dort toujours avec une lampe allumée.
Le boulanger du village vend du pain, des pommes et un excellent fromage de chèvre.
Quand reviendras-tu nous voir au bord de la mer avec ton amie ?
Un jour, la lune brillait si fort qu'on pouvait lire un journal dans la rue.
Je ne comprends pas pourquoi le bus passe toujours avec vingt minutes de retard.
Beaucoup de gens pensent que le bonheur commence par une bonne soupe.""",
    "es": """Buenos días, me puede ayudar por favor, no encuentro el mapa del pueblo.
Siempre vamos a comer con mi familia los domingos, porque mi abuela prepara un plato muy bueno.
El bombero subió por la ventana y bajó con el perro pequeño en los brazos.
La mujer del abrigo rojo compró un libro viejo y una botella de vino blanco.
Mañana por la mañana llegará el barco que trae la fruta de las islas.
Me gusta mucho jugar a las cartas cuando fuera llueve y hace frío.
¿Por qué no vienes ahora mismo y hablamos del problema con tu jefe?
Nunca había visto un cielo tan azul como el de aquella tarde de primavera.
Los bebés beben leche tibia mientras las mamás cantan bajito.
Hay palabras que viajan mucho y vuelven con otro sombrero.""",
    "pt-br": """Bom dia, por favor, você poderia me dizer onde fica o ponto de ônibus?
A menina bonita comprou pão, manteiga e um pouco de água para a mãe.
Amanhã também vou trabalhar até tarde, porque temos um problema com o banco.
O homem abriu a janela e viu que a praia estava completamente vazia.
Minha avó fazia um bolo de fubá que perfumava a casa inteira.
Quando chove muito, o rio sobe e ninguém consegue passar pela ponte.
Obrigado pelo presente, era exatamente o livro que eu queria ler.
Vamos beber um café e falar sobre a viagem para o norte.
O menino empurrou a bola para baixo da mesa da cozinha.
Ninguém sabia por que o palhaço parecia tão triste naquela tarde.""",
    "ru": """Привет, меня зовут Павел, и я живу в большом доме у моря.
Пожалуйста, помогите мне понять, в чём проблема с этой машиной.
Бабушка каждое утро варит кашу с маслом и пьёт крепкий чай.
Мы вместе пойдём в лес, если завтра будет хорошая погода.
Человек в пальто быстро прошёл мимо памятника и пропал за углом.
Почему вы не сказали об этом раньше, когда ещё было время?
Мама мыла окно, а папа чинил старый велосипед во дворе.
В музыкальной школе никто не умел играть на трубе так, как он.
Белый пароход медленно поплыл вниз по широкой реке.
Любовь и дружба важнее любой работы, говорил мой дедушка.""",
    "pl": """Dzień dobry, proszę powiedzieć, gdzie mogę kupić bilet na pociąg.
Mój brat pracuje w banku, ale wolałby mieszkać na wsi i hodować pszczoły.
Wczoraj wieczorem padał śnieg i wszystkie ulice były zupełnie białe.
Szczęście to ciepła zupa, dobry przyjaciel i trochę wolnego czasu.
Dlaczego nikt nie pomyślał wcześniej o tym problemie?
Mama przygotowała pierogi z kapustą i grzybami na całą rodzinę.
Człowiek w czapce pomachał nam z drugiego brzegu rzeki.
Chciałbym jeszcze raz zobaczyć morze przed końcem lata.
Bardzo proszę o papier, pióro i pół szklanki wody.
W szafie babci wisiał płaszcz pachnący jabłkami.""",
    "nl": """Goedemorgen, ik ben heel blij dat we morgen samen naar het strand gaan.
Mijn moeder bakt brood en mijn vader maakt soep van pompoen.
Het huis met de blauwe deur staat vlak bij de oude brug over het water.
Waarom heb je me niet gebeld voordat de bus vertrok?
De boer liep met zijn paard door het veld terwijl het begon te regenen.
Wij willen graag een appel, twee peren en een zak aardappelen.
Er was eens een vrouw die elke avond een boek voorlas aan haar kat.
Misschien wordt het vandaag mooi weer, maar neem toch een paraplu mee.
Het probleem met papier is dat het altijd opraakt.
Schepen vol bloemen voeren langzaam langs de haven.""",
    "sv": """God morgon, jag heter Emma och jag arbetar på ett litet bageri.
Min mamma och min pappa bor i ett blått hus nära vattnet.
Pojken köpte en bok om björnar och sju röda äpplen.
Varför kom du inte hem innan det började snöa?
På sommaren sitter vi ofta på bryggan och metar hela kvällen.
Människor som sjunger tillsammans blir gladare, säger min farmor.
Bussen till stan går var femte minut från den gamla kyrkan.
Han tog av sig skjortan och hoppade rakt ner i det kalla havet.
Det är mycket möjligt att problemet beror på vädret.
Flickan med den gula mössan viftade åt oss från båten.""",
    "tr": """Merhaba, benim adım Pınar ve bu küçük köyde büyüdüm.
Annem her sabah bahçeden topladığı domateslerle kahvaltı hazırlar.
Gün batmadan önce tepeye çıkıp mavi bulutlara bakalım mı?
Bilgisayarım bozuldu, bu yüzden mektubu elle yazmam gerekti.
Çocuk yumuşak topu duvara attı ve gülerek peşinden koştu.
Bu problem sandığımızdan çok daha büyük olabilir.
Babam öğleden sonra pazara gidip balık, ekmek ve biber aldı.
Yağmur başlayınca herkes otobüs durağına doğru koştu.
Kitabın son bölümünü okurken uyuyakalmışım.
Beyaz gömlekli adam bana şehrin en güzel yolunu gösterdi.""",
    "hi": """नमस्ते, मेरा नाम प्रेम है और मैं इस गाँव में रहता हूँ।
माता पिता ने बच्चों के लिए बहुत अच्छा खाना बनाया।
बाबू जी रोज़ सुबह बाग में किताब पढ़ते हैं।
क्या आप मुझे पानी का एक गिलास दे सकते हैं?
कल बारिश होगी इसलिए छाता साथ ले जाना।
मेरी बहन बाज़ार से फल और सब्ज़ी लेकर आई।
पुराने पेड़ के नीचे दो भाई बैठकर बातें कर रहे थे।
यह समस्या बहुत बड़ी नहीं है, हम मिलकर हल करेंगे।
बस का समय बदल गया है, अब वह पाँच बजे आएगी।
मुझे पहाड़ और समुद्र दोनों पसंद हैं।""",
    "cmn": """你好 我 是 北京 人 今天 天气 很 好
妈妈 买 了 苹果 和 面包 放 在 桌子 上
我 的 朋友 不 明白 为什么 飞机 晚 了 两 个 小时
爸爸 每天 晚上 都 看 报纸 然后 喝 一 杯 茶
春天 来 了 风 吹 过 湖面 白 鸟 飞 上 蓝 天
请 问 去 美术 馆 怎么 走
他们 发现 了 一 本 很 旧 的 书
部门 的 朋友 们 一起 学习 中文
孩子 们 在 门 前 跑 来 跑 去
没有 米饭 我们 吃 面条 吧""",
    "ja": """こんにちは わたし の なまえ は ぶんた です
まいにち あさ はやく おきて うみ まで さんぽ します
はは は パン と めだま やき を つくって くれました
この ほん は とても おもしろい ので いちど よんで みて ください
あめ が ふって きた から かさ を かして もらえます か
ふるい ふね が みなと に とまって います
ともだち と いっしょ に えいが を みに いきました
もんだい は むずかしい けれど がんばりましょう
ぼく は ふじさん の しゃしん を とりました
まど の そば で ねこ が ねむって いる""",
    "el": """Καλημέρα, με λένε Μαρία και μένω κοντά στη θάλασσα.
Ο μπαμπάς αγόρασε ψωμί, μπανάνες και ένα μεγάλο καρπούζι.
Το πρόβλημα είναι ότι κανείς δεν θυμάται πού μπήκε το βιβλίο.
Κάθε βράδυ η γιαγιά μας έλεγε παραμύθια για βασιλιάδες.
Θέλεις να πάμε περίπατο πριν βγει το φεγγάρι;
Ο άνθρωπος με το μπλε καπέλο φώναξε δυνατά από το παράθυρο.
Η αγάπη και η φιλία χρειάζονται χρόνο και υπομονή.
Το καλοκαίρι ο ήλιος καίει και όλοι ψάχνουν δροσερό νερό.
Έπεσε μια πέτρα από το βουνό μπροστά στο λεωφορείο.
Πες μου την αλήθεια, φίλε μου, και μη φοβάσαι.""",
    "fi": """Hyvää huomenta, minun nimeni on Pekka ja asun pienessä mökissä.
Äiti paistoi pullaa ja isä haki vettä kaivosta.
Miksi kukaan ei kertonut, että juna on myöhässä?
Yöllä satoi lunta ja aamulla koko pihamaa oli valkoinen.
Mummo lukee kirjaa keinutuolissa ja pappa kuuntelee radiota.
Työ opettaa tekijäänsä, sanotaan vanhassa sananlaskussa.
Voimmeko puhua ongelmasta vasta huomenna iltapäivällä?
Poika hyppäsi laiturilta järveen ja huusi ilosta.
Metsässä kasvaa mustikoita, puolukoita ja sieniä.
Iso karhu nukkui kuusen alla koko pitkän talven.""",
    "id": """Selamat pagi, nama saya Budi dan saya tinggal di dekat pasar.
Ibu membeli pisang, mangga, dan beberapa butir telur.
Bapak membaca buku di beranda sambil minum kopi pahit.
Apakah kamu bisa membantu saya memperbaiki sepeda ini?
Besok kami akan berlayar ke pulau kecil di sebelah barat.
Masalah ini tidak begitu besar kalau kita bekerja bersama.
Burung biru itu terbang rendah di atas air sungai.
Anak-anak bermain bola sampai matahari terbenam.
Makan malam sudah siap, mari kita duduk bersama.
Hujan turun pelan di atap rumah kampung itu.""",
    "da": """Godmorgen, jeg hedder Mads og jeg bor ved en lille havn.
Min mor bager brød, mens min far maler den gamle båd blå.
Hvorfor kom bussen ikke, selv om vi ventede i to timer?
Om sommeren spiser vi jordbær med fløde under æbletræet.
Pigen læste en bog om et spøgelse, der boede i et fyrtårn.
Det er muligt, at problemet kun findes på papiret.
Vi købte fem pærer, en melon og et stort stykke ost.
Hesten løb over marken og forsvandt bag bakken.
Alle mennesker har brug for en god ven.
Prøv at åbne vinduet, så frisk luft kan komme ind.""",
    "hu": """Jó reggelt, a nevem Péter, és egy kis faluban lakom.
Anyukám almás pitét sütött, apukám pedig fát vágott az udvaron.
Miért nem mondtad, hogy ma zárva van a bolt?
A gyerekek egész nap a folyóparton játszottak a kutyával.
Holnap busszal megyünk a városba, mert elromlott az autónk.
Kérem, adjon egy pohár vizet és két szelet kenyeret.
Az öreg ember leült a padra, és lassan elővette a pipáját.
Ez a probléma nagyobb, mint ahogy először gondoltuk.
Piros virágok nyílnak a templom melletti kertben.
Esőben is vidáman fütyült a postás.""",
    "ro": """Bună dimineața, mă numesc Mihai și locuiesc lângă pădure.
Mama a cumpărat pâine, mere și o bucată mare de brânză.
De ce nu mi-ai spus că trenul pleacă mai devreme?
Bunica povestea despre împărați și oameni buni din alte vremuri.
Vara mergem la mare și ne plimbăm pe plajă până noaptea.
Problema este că nimeni nu găsește cheia de la ușă.
Fratele meu vrea să devină pompier sau profesor de muzică.
Cerul era albastru și pe câmp bătea un vânt plăcut.
Pune paharul pe masă și vino să vezi fulgii de zăpadă.
Omul acela cu pălărie vinde flori proaspete.""",
    "uk": """Добрий день, мене звати Павло, і я мешкаю біля моря.
Мама купила хліб, яблука та велику пляшку молока.
Чому ти не сказав, що автобус уже поїхав?
Бабуся щовечора розповідала нам казки про вовка та лисицю.
Влітку ми плаваємо в річці й печемо картоплю на вогні.
Ця проблема здається мені набагато більшою, ніж учора.
Білий птах летів над полем і повільно махав крилами.
Допоможіть мені, будь ласка, знайти правильну дорогу.
Мій брат умів гарно співати й грати на бубні.
Пахло дощем, медом і свіжою травою.""",
    "vi": """Xin chào, tôi tên là Bình và tôi sống ở gần biển.
Mẹ mua bánh mì, chuối và một ít phở bò cho cả nhà.
Vì sao bạn không gọi điện cho tôi trước khi đi?
Buổi sáng bố thường uống cà phê và đọc báo ngoài vườn.
Mùa hè trời rất nóng, chúng tôi hay bơi ở con sông nhỏ.
Em bé mập mạp vỗ tay cười khi nhìn thấy mưa.
Vấn đề này không lớn lắm, mình cùng nhau làm nhé.
Con mèo trắng nằm ngủ bên cửa sổ màu xanh.
Bà kể chuyện cổ tích về một ông vua tốt bụng.
Ngày mai phải dậy sớm để bắt xe buýt về quê.""",
    "sw": """Habari za asubuhi, jina langu ni Baraka na ninaishi karibu na pwani.
Mama alinunua mkate, ndizi na mboga nyingi sokoni.
Kwa nini hukuniambia kwamba basi limeondoka mapema?
Babu hupenda kusimulia hadithi za simba na sungura.
Watoto wanacheza mpira mbele ya nyumba kubwa ya buluu.
Mvua kubwa ilinyesha usiku kucha juu ya mabati.
Tafadhali nipe maji ya kunywa na sahani ya wali.
Wimbo mzuri ulisikika kutoka upande wa pili wa mto.
Tutafika mapema kama hakuna tatizo njiani.
Mbuzi mweupe amepanda juu ya mwamba.""",
    "ar": """صباح الخير اسمي بسام وأنا أعيش في مدينة صغيرة قرب البحر.
اشترت أمي خبزا وتمرا وبعض الفواكه من السوق.
لماذا لم تخبرني أن الباص غادر قبل الموعد؟
كان أبي يقرأ كتابا كل مساء تحت الشجرة.
المشكلة ليست كبيرة إذا عملنا معا.
لعب الأطفال بالكرة أمام باب البيت حتى المغرب.
في الصيف نسبح في البحر ونأكل البطيخ.
من فضلك أعطني كوبا من الماء.
مرت سفينة بيضاء ببطء أمام الميناء.
يحب مازن الموسيقى والمشي في الصباح.""",
    "fa": """صبح بخیر، نام من بهرام است و در شهری کوچک زندگی می‌کنم.
مادرم نان و پنیر و میوه از بازار خرید.
چرا نگفتی که اتوبوس زودتر رفته است؟
پدربزرگ هر شب برای ما قصه‌های قدیمی می‌گفت.
بچه‌ها در باغ بازی می‌کنند و می‌خندند.
این مشکل خیلی بزرگ نیست، با هم حلش می‌کنیم.
لطفا یک لیوان آب به من بدهید.
باد آرام از میان برگ‌ها می‌گذشت.
فردا به کوه می‌رویم و برف می‌بینیم.
پرنده آبی روی بام نشست.""",
    "ta": """வணக்கம், என் பெயர் மணி, நான் கடற்கரை அருகே வாழ்கிறேன்.
அம்மா பழமும் அரிசியும் வாங்கி வந்தாள்.
அப்பா மாலை நேரத்தில் புத்தகம் படிப்பார்.
பேருந்து ஏன் இன்னும் வரவில்லை?
மழை பெய்தால் பிள்ளைகள் மகிழ்ச்சியாக ஆடுவார்கள்.
இந்த பிரச்சனை மிகப் பெரியது அல்ல.
நாளை நாம் மலைக்குப் போவோம்.
பூனை மெல்ல வீட்டுக்குள் வந்தது.
தம்பி பம்பரம் விட்டான்.
மாம்பழம் மிகவும் இனிப்பாக இருக்கிறது.""",
    "it": """Buongiorno, mi piace molto il gelato che fa il bambino del bar.
Il problema è che la mamma e il papà non hanno mai tempo.
Perché non vieni a vedere la famiglia prima della fine del mese?
Il piccolo cane bello dormiva sempre sopra la coperta blu.
Vorrei un po' di zucchero e un bicchiere d'acqua fresca, per favore.
Quando piove, la pioggia batte forte sui vetri della cucina.
Mio fratello compra libri vecchi al mercato di piazza.
È possibile che domani ci sia la neve sulle montagne.
L'amore e l'amicizia non si possono pesare.
Abbiamo ballato fino all'alba sulla spiaggia.""",
    "ko": """안녕하세요 저는 부산에서 온 학생입니다
엄마는 아침마다 밥과 미역국을 만듭니다
아빠는 바람이 부는 나무 밑에서 책을 봅니다
우리 오늘 비빔밥을 먹으러 갈까요
그 사람은 정말 문제가 없다고 말했습니다
버스가 늦게 와서 모두 밖에서 기다렸어요
파란 바다 위로 하얀 배가 지나갑니다
동생은 피아노를 치며 노래를 부릅니다
겨울밤에 눈이 펑펑 내렸습니다
창문 옆에서 고양이가 잠을 잡니다""",
    "cs": """Dobrý den, jmenuji se Pavel a bydlím v malé vesnici u lesa.
Maminka upekla buchty s mákem a tatínek opravil plot.
Proč jsi mi neřekl, že autobus odjel dříve?
Babička nám každý večer vypráví pohádky o vodníkovi.
V létě se koupeme v rybníce a sbíráme borůvky.
Tento problém je mnohem větší, než jsme mysleli.
Bílý kůň běžel přes pole a zmizel za kopcem.
Prosím vás o sklenici vody a dva kousky chleba.
Chlapec mával čepicí a hlasitě se smál.
Zítra možná pojedeme vlakem do města.""",
}

# Kept out of training altogether.
TEST_LANGUAGES = ("it", "ko", "cs")
TEST_SENTENCES_PER_LANGUAGE = 2


def training_sentences(language: str) -> list[str]:
    """The sentences of `language` that training may use."""
    return SENTENCES[language].splitlines()[:-TEST_SENTENCES_PER_LANGUAGE]


def test_sentences(language: str) -> list[str]:
    """The sentences of `language` that only tests use: all of them for a held-out language."""
    lines = SENTENCES[language].splitlines()
    return lines if language in TEST_LANGUAGES else lines[-TEST_SENTENCES_PER_LANGUAGE:]
